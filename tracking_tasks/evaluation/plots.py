"""The plots that papers print, with legends that rank: one tracker or several, in one style."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basics.figures import line_style, save_figure
from tracking_tasks.evaluation.metrics import NORMALIZED_LIMIT, PRECISION_THRESHOLD

Curve = Float[np.ndarray, "thresholds"]


Scores = dict[str, float]


def save_success_plot(path: pathlib.Path, curves: Mapping[str, Curve], title: str) -> Scores:
    """Saves success curves as a PNG; the legend ranks them by the area under them.

    Args:
        path: where to; the file appears when it is complete.
        curves: of `metrics.success_curve`, or means of them, by the name to show.
        title: what the curves were measured on.

    Returns:
        The scores in the legend.
    """
    scores = {name: float(curve.mean()) for name, curve in curves.items()}
    figure, axes = _axes(title, "overlap threshold", "success rate", "area under the curve")
    _draw(axes, curves, scores, end=1.0)
    _save(path, figure, axes)
    return scores


def save_precision_plot(path: pathlib.Path, curves: Mapping[str, Curve], title: str) -> Scores:
    """Saves precision curves as a PNG; the legend ranks them by their value at 20 pixels.

    Args:
        path: where to; the file appears when it is complete.
        curves: of `metrics.precision_curve`, or means of them, by the name to show.
        title: what the curves were measured on.

    Returns:
        The scores in the legend.
    """
    scores = {name: float(curve[int(PRECISION_THRESHOLD)]) for name, curve in curves.items()}
    figure, axes = _axes(title, "centre error threshold (pixels)", "precision", "at 20 pixels")
    axes.axvline(PRECISION_THRESHOLD, color="0.7", linestyle=":")
    _draw(axes, curves, scores, end=len(next(iter(curves.values()))) - 1.0)
    _save(path, figure, axes)
    return scores


def save_normalized_precision_plot(
    path: pathlib.Path, curves: Mapping[str, Curve], title: str
) -> Scores:
    """Saves normalized precision curves as a PNG; the legend ranks them by the area under them.

    Args:
        path: where to; the file appears when it is complete.
        curves: shares of frames by thresholds evenly spaced from 0 to 0.5, by the name to show.
        title: what the curves were measured on.

    Returns:
        The scores in the legend.
    """
    scores = {name: float(curve.mean()) for name, curve in curves.items()}
    label = "centre error threshold (share of the target's size)"
    figure, axes = _axes(title, label, "normalized precision", "area under the curve")
    _draw(axes, curves, scores, end=NORMALIZED_LIMIT)
    _save(path, figure, axes)
    return scores


def save_attribute_plot(
    path: pathlib.Path,
    scores: Mapping[str, Mapping[str, float]],
    counts: Mapping[str, int],
    title: str,
    label: str,
) -> None:
    """Saves a group of bars for each attribute as a PNG, the attribute of most sequences first.

    Args:
        path: where to; the file appears when it is complete.
        scores: by tracker, the score over the sequences that have an attribute, by attribute.
        counts: how many sequences have it, by attribute.
        title: what the scores were measured on.
        label: which score it is.
    """
    attributes = sorted(counts, key=lambda attribute: -counts[attribute])
    means = {name: float(np.mean(list(each.values()))) for name, each in scores.items()}
    width = 0.8 / len(scores)
    figure = Figure(
        figsize=(max(7, 2.5 + len(attributes) * (0.35 + 0.14 * len(scores))), 4.5),
        layout="constrained",
    )
    axes = figure.subplots()
    for index, (name, style) in enumerate(_ranked(means)):
        places = np.arange(len(attributes)) + (index + 0.5) * width - 0.4
        heights = [scores[name][attribute] for attribute in attributes]
        hatch = {"-": "", "--": "///", ":": "..."}[style["linestyle"]]
        axes.bar(places, heights, width, color=style["color"], hatch=hatch, label=name)
    axes.set_xticks(
        range(len(attributes)),
        [f"{attribute} ({counts[attribute]})" for attribute in attributes],
        rotation=45,
        ha="right",
        rotation_mode="anchor",
    )
    axes.set(title=title, xlabel="attribute (sequences that have it)", ylabel=label, ylim=(0, 1.02))
    axes.set_axisbelow(True)
    axes.margins(x=0.01)
    axes.grid(color="0.9", axis="y")
    _save(path, figure, axes, "mean over attributes, best first")


def save_accuracy_robustness_plot(
    path: pathlib.Path, points: Mapping[str, tuple[float, float]], title: str
) -> None:
    """Saves VOT's AR plot as a PNG: a mark for each tracker, better towards the upper right.

    Args:
        path: where to; the file appears when it is complete.
        points: accuracy and robustness, both in [0, 1], by the name to show. Where robustness is
            a number of failures, its reliability is meant (Kristan et al., TPAMI 2016).
        title: what they were measured on.
    """
    figure = Figure(figsize=(6.5, 4.5), layout="constrained")
    axes = figure.subplots()
    products = {name: accuracy * robustness for name, (accuracy, robustness) in points.items()}
    markers = "osD^v<>pPX*"
    order = list(points)
    for name, style in _ranked(products):
        accuracy, robustness = points[name]
        axes.plot(
            robustness,
            accuracy,
            marker=markers[order.index(name) % len(markers)],
            color=style["color"],
            markersize=10,
            markeredgecolor="black",
            linestyle="none",
            label=f"{name} [{accuracy:.3f}, {robustness:.3f}]",
        )
    axes.set(title=title, xlabel="robustness", ylabel="accuracy", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    _save(path, figure, axes, "[accuracy, robustness],\nlargest product first")


def save_expected_overlap_plot(
    path: pathlib.Path,
    curves: Mapping[str, Float[np.ndarray, "lengths"]],
    scores: Mapping[str, float],
    interval: tuple[int, int],
    title: str,
) -> None:
    """Saves VOT's expected average overlap curves as a PNG; the legend ranks by their EAO.

    Args:
        path: where to; the file appears when it is complete.
        curves: the overlap to be expected over the first 0, 1, 2, ... frames, by the name to show.
        scores: the EAO of each.
        interval: the lengths between which the EAO is the mean of the curve; shaded.
        title: what they were measured on.
    """
    low, high = interval
    label = "expected average overlap"
    figure, axes = _axes(title, "sequence length (frames)", label, f"EAO, {low} to {high} frames")
    axes.axvspan(low, high, color="0.95", zorder=0)
    for name, style in _ranked(scores):
        # No frame after the first has passed at length 0.
        lengths = np.arange(1, len(curves[name]))
        axes.plot(lengths, curves[name][1:], **style, label=f"{name} [{scores[name]:.3f}]")
    _save(path, figure, axes)


def _axes(title: str, x_label: str, y_label: str, score: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.set(title=title, xlabel=x_label, ylabel=f"{y_label} [{score}]", ylim=(0, 1.02))
    axes.margins(x=0)
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    return figure, axes


def _draw(axes: Axes, curves: Mapping[str, Curve], scores: Mapping[str, float], end: float) -> None:
    for name, style in _ranked(scores):
        thresholds = np.linspace(0, end, len(curves[name]))
        axes.plot(thresholds, curves[name], **style, label=f"{name} [{scores[name]:.3f}]")


def _ranked(scores: Mapping[str, float]) -> list[tuple[str, dict[str, Any]]]:
    """Returns the names, best first, each with the style that its place in `scores` gives it.

    So a name keeps its colour from one plot to the next.
    """
    styles = {name: line_style(index) for index, name in enumerate(scores)}
    return [(name, styles[name]) for name in sorted(scores, key=lambda name: -scores[name])]


def _save(path: pathlib.Path, figure: Figure, axes: Axes, legend_title: str | None = None) -> None:
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(1, 1),
        fontsize="small",
        frameon=False,
        title=legend_title,
        title_fontsize="small",
        alignment="left",
    )
    save_figure(path, figure)
