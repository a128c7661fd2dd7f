"""Plots of a record: the claims as paired differences, scores beside the paper's, and curves."""

import pathlib
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basics.figures import line_style, save_figure
from experiments.reproduction.measurement import REAL
from experiments.reproduction.paper_table import Curve, Table
from experiments.reproduction.record import Record, Trials

_MARKS = {"holds": "o", "fails": "X", "undecided": "D"}  # also told apart without colour
_COLORS = {name: index for index, name in enumerate(_MARKS)}


def names(table: Table, record: Record, prefix: str = "") -> list[str]:
    """The names of the plots that a record gives, the claims first."""
    measured = {name for trial in record["trials"] for name in trial["curves"]}
    curves = [curve.name for curve in table.curves if curve.name in measured]
    claims = ["differences"] if record["orderings"] else []
    maps = ["maps"] if any(trial.get("maps") for trial in record["trials"]) else []
    return [f"{prefix}{name}.png" for name in [*claims, "scores", *curves, *maps]]


def save_all(folder: pathlib.Path, table: Table, record: Record, prefix: str = "") -> None:
    """Writes every plot of `names`.

    Args:
        folder: where to.
        table: of the record.
        record: of the table.
        prefix: of the names of the files.
    """
    trials: dict[str, list[Mapping[str, Any]]] = {row["name"]: [] for row in record["rows"]}
    for trial in record["trials"]:
        trials[trial["row"]].append(trial)
    curves = {curve.name: curve for curve in table.curves}
    for name in names(table, record):
        kind = name.removesuffix(".png")
        if kind in curves:
            figure = _curves(table, curves[kind], trials)
        elif kind == "maps":
            figure = _maps(table, trials)
        else:
            figure = _bars(table, record) if kind == "scores" else _differences(record)
        save_figure(folder / f"{prefix}{name}", figure)


def _differences(record: Record) -> Figure:
    """A panel a score: by how much the row that the paper puts ahead is ahead here."""
    labels = {score["name"]: score["label"] for score in record["scores"]}
    by_score: dict[str, list[dict[str, Any]]] = {}
    for each in record["orderings"]:
        by_score.setdefault(each["score"], []).append(each)
    heights = [len(each) for each in by_score.values()]
    size = (7.5, 1.1 * len(heights) + 0.5 * sum(heights) + 0.7)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, (score, orderings) in zip(panels, by_score.items(), strict=True):
        axes.axvline(0, color="0.4", linewidth=1)
        for place, each in enumerate(orderings):
            axes.errorbar(
                each["difference"],
                place,
                xerr=each["interval"],
                fmt=_MARKS[each["verdict"]],
                color=line_style(_COLORS[each["verdict"]])["color"],
                capsize=5,
                markersize=9,
                linewidth=2,
            )
        names = [f"{each['better']} over {each['worse']}" for each in orderings]
        axes.set_yticks(range(len(names)), [textwrap.fill(name, 34) for name in names], fontsize=12)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlabel(f"ahead by, {labels[score]}", fontsize=12)
        axes.grid(color="0.9", axis="x")
    words = ", ".join(f"{'●✖◆'[index]} {word}" for word, index in _COLORS.items())
    figure.suptitle(f"{record['source']}: {words}", fontsize=12)
    return figure


def _bars(table: Table, record: Record) -> Figure:
    """A panel for each score, one below the other: our bars with their intervals, the paper's."""
    rows, scores = record["rows"], record["scores"]
    size = (max(6, 1.3 * len(rows)), 3.4 * len(scores) + 0.6)
    figure = Figure(figsize=size, layout="constrained")
    places = np.arange(len(rows))
    panels = figure.subplots(len(scores), 1, squeeze=False)[:, 0]
    for axes, score in zip(panels, scores, strict=True):
        missing = {"mean": np.nan, "interval": None}
        ours = [row["ours"].get(score["name"], missing) for row in rows]
        paper = [row["paper"].get(score["name"].removeprefix(REAL)) for row in rows]
        beside = 0.0
        if any(number is not None for number in paper):
            beside = 0.2
            heights = [np.nan if number is None else number for number in paper]
            axes.bar(places - beside, heights, 0.38, color="0.75", hatch="//", label="paper")
        # What one seed says has no interval, and none is drawn.
        intervals = [np.nan if one["interval"] is None else one["interval"] for one in ours]
        axes.bar(
            places + beside, [one["mean"] for one in ours], 0.38, yerr=intervals, capsize=3,
            color=line_style(0)["color"], label="ours",
        )  # fmt: skip
        names = [textwrap.fill(row["name"], 12, break_long_words=False) for row in rows]
        axes.set_xticks(places, names, fontsize=10)
        axes.set_ylabel(score["label"], fontsize=12)
        axes.margins(y=0.25)  # room for the legend
        if min(one["mean"] for one in ours) >= 0:  # an interval of a speed may reach below it
            axes.set_ylim(bottom=0)
        axes.grid(color="0.9", axis="y")
        axes.set_axisbelow(True)
        axes.legend(fontsize=11)
    figure.suptitle(f"{table.title}\n{table.source}", fontsize=12)
    return figure


def _curves(table: Table, curve: Curve, trials: Trials) -> Figure:
    """Each row's mean over the seeds, and their range."""
    figure = Figure(figsize=(6.5, 4.5), layout="constrained")
    axes = figure.subplots()
    for index, (row, of_row) in enumerate(trials.items()):
        measured = [
            trial["curves"][curve.name] for trial in of_row if curve.name in trial["curves"]
        ]
        if measured:
            _draw(axes, curve, row, measured, {**line_style(index), "linewidth": 2})
    axes.set_xlabel(curve.xlabel, fontsize=12)
    axes.set_ylabel(curve.ylabel, fontsize=12)
    axes.set_yscale(curve.yscale)
    axes.grid(color="0.9", which="both")
    axes.legend(fontsize=11)
    figure.suptitle(f"{table.title}\n{table.source}", fontsize=12)
    return figure


def _maps(table: Table, trials: Trials) -> Figure:
    """The maps of each row's first seed, in one scale of grey."""
    lines = [
        (f"{row}, {name}", maps)
        for row, of_row in trials.items()
        for name, maps in of_row[0]["maps"].items()
    ]
    columns = max(len(maps) for _, maps in lines)
    figure = Figure(figsize=(1.7 * columns + 2, 1.7 * len(lines) + 0.7), layout="constrained")
    panels = figure.subplots(len(lines), columns, squeeze=False)
    for panel in panels.ravel():
        panel.set(xticks=[], yticks=[])
    for of_line, (name, maps) in zip(panels, lines, strict=True):
        of_line[0].set_ylabel(textwrap.fill(name, 16), fontsize=11)
        for panel, values in zip(of_line, maps, strict=False):
            panel.imshow(values, cmap="gray", vmin=0, vmax=1)
    figure.suptitle(f"{table.title}\n{table.source}", fontsize=12)
    return figure


def _draw(
    axes: Axes, curve: Curve, row: str, measured: Sequence[Any], style: dict[str, Any]
) -> None:
    x, y = np.array(measured[0][0]), np.array([one[1] for one in measured])
    if curve.histogram:
        axes.stairs(y.mean(0), x, label=row, **style)
        return
    axes.plot(x, y.mean(0), label=row, **style)
    axes.fill_between(x, y.min(0), y.max(0), color=style["color"], alpha=0.2, linewidth=0)
