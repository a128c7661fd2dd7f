"""What the reproduction of a table leaves behind: verdicts, text, results and plots."""

import dataclasses
import json
import pathlib
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basics.figures import line_style, save_figure
from basics.files import write_atomic
from experiments.analysis.statistics import mean_and_interval, show, summarize
from experiments.reproduction.paper_table import Curve, Ordering, Score, Table

_WORDS = {True: "holds", False: "does not hold", None: "undecided"}

Trials = Mapping[str, Sequence[Mapping[str, Any]]]  # by row, in the order of the seeds


def write(
    folder: pathlib.Path, table: Table, metadata: Mapping[str, Any], trials: Trials
) -> dict[str, Any]:
    """Writes the plots and the text, and `results.json` last; returns what that holds."""
    scores = _measured_scores(table, trials)
    summary = {
        row: {
            score.name: summarize(_values(of_row, score)) for score in scores if _has(of_row, score)
        }
        for row, of_row in trials.items()
    }
    document = {
        **metadata,
        "table": table.name,
        "title": table.title,
        "source": table.source,
        "paper": {row.name: dict(row.paper) for row in table.rows},
        "ours": summary,
        "orderings": [
            verdict(trials, ordering, score)
            for ordering in table.orderings
            for score in scores
            if score.name.removeprefix("real_") == ordering.score
        ],
        "cells": [trial for of_row in trials.values() for trial in of_row],
    }
    _save_bars(folder / "scores.png", table, scores, summary)
    for curve in table.curves:
        _save_curves(folder / f"{curve.name}.png", table, curve, trials)
    write_atomic(folder / "table.txt", text(table, scores, document) + "\n")
    write_atomic(folder / "results.json", json.dumps(document, indent=1) + "\n")
    return document


def write_summary(folder: pathlib.Path, documents: Sequence[Mapping[str, Any]]) -> str:
    """Writes `summary.txt` and `summary.json`: every ordering of every table; returns the text.

    Args:
        folder: where to.
        documents: what `write` returned of each table.
    """
    orderings = [{"table": d["table"], **order} for d in documents for order in d["orderings"]]
    counts = {word: 0 for word in _WORDS.values()}
    lines = []
    for order in orderings:
        word = _WORDS[order["holds"]]
        counts[word] += 1
        lines.append(
            f"{order['table']:16}  {word:13}  {order['better']} better than {order['worse']}, "
            f"{order['score']}: by {show(order['difference'], order['digits'])}"
        )
    total = ", ".join(f"{count} {word}" for word, count in counts.items())
    text = "\n".join([f"The papers' orderings: {total}", *lines])
    write_atomic(folder / "summary.json", json.dumps({"counts": counts, "orderings": orderings}))
    write_atomic(folder / "summary.txt", text + "\n")
    return text


def verdict(trials: Trials, ordering: Ordering, score: Score) -> dict[str, Any]:
    """Whether an ordering holds: the paired differences by seed and their 95 % interval.

    Returns:
        `holds` is True if the interval lies above zero, False if it lies below, else None, as where
        a score is not a number; `difference` counts for the better row and is in the unit of
        `score.label`; `digits` are its decimals.
    """
    sign = 1.0 if score.higher_is_better else -1.0
    better, worse = (_values(trials[row], score) for row in (ordering.better, ordering.worse))
    differences = sign * (np.array(better) - np.array(worse))
    mean, half_width = mean_and_interval(differences.tolist())
    return {
        "better": ordering.better,
        "worse": ordering.worse,
        "score": score.name,
        "difference": summarize(differences.tolist()),
        "digits": score.digits,
        "holds": mean > 0 if abs(mean) > half_width else None,
    }


def text(table: Table, scores: Sequence[Score], document: Mapping[str, Any]) -> str:
    """Our columns beside the paper's, and a line for each ordering."""
    lines = [f"{table.name}: {table.title} ({table.source})"]
    width = max(len("row"), *(len(row.name) for row in table.rows))
    heads = [f"{where}: {score.label}" for score in scores for where in ("paper", "ours")]
    widths = [max(16, len(head)) for head in heads]
    lines.append("  ".join([f"{'row':{width}}", *map(str.rjust, heads, widths)]))
    for row in table.rows:
        texts = []
        for score in scores:
            paper, ours = _paper(row.paper, score), document["ours"][row.name].get(score.name)
            texts += [
                "-" if paper is None else f"{paper:g}",
                "-" if ours is None else show(ours, score.digits),
            ]
        lines.append("  ".join([f"{row.name:{width}}", *map(str.rjust, texts, widths)]))
    labels = {score.name: score.label for score in scores}
    for order in document["orderings"]:
        lines.append(
            f"{order['better']} better than {order['worse']}, {labels[order['score']]}: "
            f"by {show(order['difference'], order['digits'])}: {_WORDS[order['holds']]}"
        )
    lines.append(
        f"Mean and 95 % interval over {document['seeds']} seed(s), scale {document['scale']}; "
        "differences are paired by seed."
    )
    return "\n".join(lines)


def _measured_scores(table: Table, trials: Trials) -> list[Score]:
    """The table's scores, and those on real sequences where they were measured."""
    measured = {name for of_row in trials.values() for trial in of_row for name in trial["scores"]}
    real = [
        dataclasses.replace(s, name=f"real_{s.name}", label=f"{s.label}, real sequences")
        for s in table.scores
    ]
    return [score for score in [*table.scores, *real] if score.name in measured]


def _has(trials: Sequence[Mapping[str, Any]], score: Score) -> bool:
    return all(score.name in trial["scores"] for trial in trials)


def _values(trials: Sequence[Mapping[str, Any]], score: Score) -> list[float]:
    return [trial["scores"][score.name] * score.factor for trial in trials]


def _paper(numbers: Mapping[str, float], score: Score) -> float | None:
    """The paper's number; it measured on real sequences, so ours of both kinds stand beside it."""
    return numbers.get(score.name.removeprefix("real_"))


def _save_bars(
    path: pathlib.Path, table: Table, scores: Sequence[Score], summary: Mapping[str, Any]
) -> None:
    """A panel for each score: our bars with their intervals beside the paper's."""
    rows = [row for row in table.rows if summary[row.name]]
    figure = Figure(figsize=(max(5, 1.3 * len(rows)) * len(scores), 4), layout="constrained")
    places = np.arange(len(rows))
    for axes, score in zip(figure.subplots(1, len(scores), squeeze=False)[0], scores, strict=True):
        missing = {"mean": np.nan, "interval": None}
        ours = [summary[row.name].get(score.name, missing) for row in rows]
        paper = [_paper(row.paper, score) for row in rows]
        beside = 0.0
        if any(number is not None for number in paper):
            beside = 0.2
            heights = [np.nan if number is None else number for number in paper]
            axes.bar(places - beside, heights, 0.38, color="0.75", label="paper")
        intervals = [one["interval"] or 0.0 for one in ours]
        axes.bar(
            places + beside, [one["mean"] for one in ours], 0.38, yerr=intervals, capsize=3,
            color=line_style(0)["color"], label="ours",
        )  # fmt: skip
        names = [textwrap.fill(row.name, 12, break_long_words=False) for row in rows]
        axes.set_xticks(places, names)
        axes.set(ylabel=score.label)
        axes.margins(y=0.25)  # room for the legend
        axes.grid(color="0.9", axis="y")
        axes.set_axisbelow(True)
        axes.legend(fontsize="small")
    figure.suptitle(f"{table.title}\n{table.source}", fontsize="medium")
    save_figure(path, figure)


def _save_curves(path: pathlib.Path, table: Table, curve: Curve, trials: Trials) -> None:
    """Each row's mean over the seeds, and their range."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for index, (row, of_row) in enumerate(trials.items()):
        measured = [
            trial["curves"][curve.name] for trial in of_row if curve.name in trial["curves"]
        ]
        if measured:
            _draw(axes, curve, row, measured, line_style(index))
    axes.set(xlabel=curve.xlabel, ylabel=curve.ylabel, yscale=curve.yscale)
    axes.grid(color="0.9", which="both")
    axes.legend(fontsize="small")
    figure.suptitle(f"{table.title}\n{table.source}", fontsize="medium")
    save_figure(path, figure)


def _draw(axes: Axes, curve: Curve, row: str, measured: list[Any], style: dict[str, Any]) -> None:
    x, y = np.array(measured[0][0]), np.array([one[1] for one in measured])
    if curve.histogram:
        axes.stairs(y.mean(0), x, label=row, **style)
        return
    axes.plot(x, y.mean(0), label=row, **style)
    axes.fill_between(x, y.min(0), y.max(0), color=style["color"], alpha=0.2, linewidth=0)
