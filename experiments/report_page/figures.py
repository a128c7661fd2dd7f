"""The figures of the report as SVG that takes its colours from the page, in light and dark."""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, SymmetricalLogLocator

from basics.figures import line_style

Trials = Sequence[Mapping[str, Any]]
ByRule = Mapping[str, Trials]

_INK = "#010203"  # stands for the colour of the page's text
_SIZE = (4.6, 3.3)  # inches: text stays readable on a phone
_PLAIN = FuncFormatter(lambda value, _: f"{value:g}")  # no small exponents
_TEXT = 10  # points, which are 9 pixels or more on a phone of 360


def svg(figure: Figure) -> str:
    """A figure as an SVG element as wide as what holds it, with text as text."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "report"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    head, rest = text[text.index("<svg") :].replace(_INK, "currentColor").split(">", 1)
    return re.sub(r' (width|height)="[^"]*"', "", head) + ">" + rest


def styles(rules: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The line of each rule, the same in all figures of a page."""
    return {rule: line_style(index) for index, rule in enumerate(rules)}


def success(by_rule: ByRule, lines: Mapping[str, dict[str, Any]]) -> Figure:
    """Success curves, the mean over seeds; ranked by the area under them."""
    figure, axes = _axes("overlap threshold", "success rate")
    curves = {rule: _mean(trials, "success_curve") for rule, trials in by_rule.items()}
    for rule in sorted(curves, key=lambda rule: -curves[rule].mean()):
        thresholds = np.linspace(0, 1, len(curves[rule]))
        label = f"{rule} {curves[rule].mean():.3f}"
        axes.plot(thresholds, curves[rule], label=label, **lines[rule])
    _legend(axes)
    return figure


def losses(by_rule: ByRule, lines: Mapping[str, dict[str, Any]], name: str, label: str) -> Figure:
    """A loss of every iterate on held-out episodes, beyond the trained number of steps too."""
    figure, axes = _axes("inner step", label)
    axes.set_yscale("log")
    for rule, trials in by_rule.items():
        curve = _mean(trials, name)
        axes.plot(curve, label=rule, **lines[rule])
        trained = trials[0]["train_steps"]
        axes.plot(trained, curve[min(trained, len(curve) - 1)], "o", color=lines[rule]["color"])
    _decades(axes)
    _legend(axes)
    return figure


def speed(by_rule: ByRule, lines: Mapping[str, dict[str, Any]]) -> Figure:
    """AUC against the time of an update, a point a seed."""
    figure, axes = _axes("milliseconds per update", "AUC")
    for rule, trials in by_rule.items():
        times = [trial["update_ms"] for trial in trials]
        scores = [trial["auc"] for trial in trials]
        axes.plot(times, scores, "o", color=lines[rule]["color"], label=rule)
    _legend(axes)
    return figure


def rates(trials: Trials) -> Figure | None:
    """The distribution of the learned rates of each seed; None if no trial learned any."""
    learned = [np.asarray(trial["rates"]) for trial in trials if trial.get("rates")]
    if not learned:
        return None
    figure, axes = _axes("learned rate", "share of rates below")
    for index, quantiles in enumerate(learned):
        shares = np.linspace(0, 1, len(quantiles))
        axes.plot(quantiles, shares, label=f"seed {index}", **line_style(index))
    every = np.concatenate(learned)
    if every.min() <= 0 or every.max() > 20 * every.min():
        threshold = np.abs(every[every != 0]).min(initial=1.0)
        linear = max(threshold, 1e-8)
        axes.set_xscale("symlog", linthresh=linear)
        locator = SymmetricalLogLocator(base=10, linthresh=linear)
        locator.set_params(numticks=5)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(_PLAIN)
    _legend(axes)
    return figure


def learned_functions(by_rule: ByRule, lines: Mapping[str, dict[str, Any]]) -> dict[str, Figure]:
    """Each function of the objective that was learned: where it began, and the mean over seeds."""
    figures = {}
    first = next(iter(by_rule.values()))[0]["learned_functions"]
    for name, function in first.items():
        figures[name], axes = _axes("distance to the target's centre (cells)", name)
        for rule, trials in by_rule.items():
            learned = [trial["learned_functions"][name]["learned"] for trial in trials]
            axes.plot(function["x"], np.mean(learned, axis=0), label=rule, **lines[rule])
        axes.plot(function["x"], function["initial"], ":", color=_INK, label="initial")
        _legend(axes)
    return figures


def ranks(ranking: Mapping[str, Any]) -> Figure:
    """Mean ranks on an axis; bars join rules that do not differ (Demsar 2006, Figure 1)."""
    names, values = list(ranking["ranks"]), list(ranking["ranks"].values())
    height = 0.9 + 0.3 * len(names)
    figure, axes = _axes("mean rank (1 is best)", "", (_SIZE[0], height))
    for index, (name, value) in enumerate(zip(names, values, strict=True)):
        axes.plot(value, index, "o", color="C0")
        axes.text(value, index + 0.32, name, ha="center", va="center", fontsize=_TEXT, color=_INK)
    for group in ranking["groups"]:
        places = [names.index(name) for name in group]
        ends = [values[places[0]], values[places[-1]]]
        y = (places[0] + places[-1]) / 2
        axes.plot(ends, [y, y], color=_INK, linewidth=3, alpha=0.35)
    axes.set(xlim=(0.7, len(names) + 0.3), ylim=(len(names) - 0.3, -0.6), yticks=[])
    return figure


def _axes(xlabel: str, ylabel: str, size: tuple[float, float] = _SIZE) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(xlabel, color=_INK)
    axes.set_ylabel(ylabel, color=_INK)
    axes.tick_params(which="both", colors=_INK)
    axes.grid(color=_INK, alpha=0.15)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom") and (side != "left" or bool(ylabel)))
        spine.set_color(_INK)
    return figure, axes


def _decades(axes: Axes) -> None:
    """Labels of a logarithmic axis that are some, and not on top of each other."""
    low, high = axes.get_ylim()
    subs = (1.0,) if high > 100 * low else (1.0, 2.0, 5.0) if high > 2 * low else range(1, 10)
    axes.yaxis.set_major_locator(LogLocator(subs=subs, numticks=8))
    axes.yaxis.set_major_formatter(_PLAIN)
    axes.yaxis.set_minor_formatter(NullFormatter())


def _legend(axes: Axes) -> None:
    legend = axes.legend(fontsize=_TEXT, frameon=False, labelcolor=_INK)
    legend.set_zorder(3)


def _mean(trials: Trials, name: str) -> np.ndarray:
    return np.mean([trial[name] for trial in trials], axis=0)
