"""Success and precision plots with ranked legends, as in OTB."""

import io
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tracking_tasks.evaluation.metrics import PRECISION_THRESHOLD
from tracking_tasks.files import write_atomic

Curve = Float[np.ndarray, "thresholds"]


def save_success_plot(path: pathlib.Path, curves: Mapping[str, Curve], title: str) -> None:
    """Saves success curves as a PNG; the legend ranks them by the area under them.

    Args:
        path: Where to; the file appears when it is complete.
        curves: Of `metrics.success_curve`, or means of them, by the name to show.
        title: What the curves were measured on.
    """
    scores = {name: float(curve.mean()) for name, curve in curves.items()}
    figure, axes = _axes(title, "overlap threshold", "success rate (area under the curve)")
    for name, style in _ranked(scores):
        thresholds = np.linspace(0, 1, len(curves[name]))
        axes.plot(thresholds, curves[name], **style, label=f"{name} [{scores[name]:.3f}]")
    _save(path, figure, axes)


def save_precision_plot(path: pathlib.Path, curves: Mapping[str, Curve], title: str) -> None:
    """Saves precision curves as a PNG; the legend ranks them by their value at 20 pixels.

    Args:
        path: Where to; the file appears when it is complete.
        curves: Of `metrics.precision_curve`, or means of them, by the name to show.
        title: What the curves were measured on.
    """
    scores = {name: float(curve[int(PRECISION_THRESHOLD)]) for name, curve in curves.items()}
    figure, axes = _axes(title, "centre error threshold (pixels)", "precision (at 20 pixels)")
    axes.axvline(PRECISION_THRESHOLD, color="0.7", linestyle=":")
    for name, style in _ranked(scores):
        axes.plot(curves[name], **style, label=f"{name} [{scores[name]:.3f}]")
    _save(path, figure, axes)


def _axes(title: str, x_label: str, y_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.set(title=title, xlabel=x_label, ylabel=y_label, ylim=(0, 1.02))
    axes.margins(x=0)
    axes.grid(color="0.9")
    return figure, axes


def line_style(index: int) -> dict[str, Any]:
    """The colour of the curve of that index, the same in every plot; dashed from the tenth on."""
    return {"color": f"C{index % 10}", "linestyle": ("-", "--", ":")[index // 10 % 3]}


def _ranked(scores: Mapping[str, float]) -> list[tuple[str, dict[str, Any]]]:
    """Returns the names, best first, each with the style that its place in `scores` gives it.

    So a name keeps its colour from one plot to the next.
    """
    styles = {name: line_style(index) for index, name in enumerate(scores)}
    return [(name, styles[name]) for name in sorted(scores, key=lambda name: -scores[name])]


def _save(path: pathlib.Path, figure: Figure, axes: Axes) -> None:
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize="small", frameon=False)
    save_figure(path, figure)


def save_figure(path: pathlib.Path, figure: Figure) -> None:
    """Saves a figure as a PNG that appears when it is complete."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    write_atomic(path, buffer.getvalue())
