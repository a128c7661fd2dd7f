"""What a sweep leaves behind: the matrix as results, text and heat map."""

import itertools
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from basics.figures import save_figure
from basics.files import write_atomic
from experiments.analysis import ranking, statistics

Trials = Sequence[Mapping[str, Any]]


def write(
    folder: pathlib.Path, metadata: Mapping[str, Any], trials: Trials, failures: Mapping[str, str]
) -> dict[str, Any]:
    """Writes the heat map and the table, and `results.json` last; returns what that holds."""
    trackers = list(dict.fromkeys(trial["tracker"] for trial in trials))
    summary = {tracker: summarize(of_tracker(trials, tracker)) for tracker in trackers}
    document = {
        **metadata,
        "summary": summary,
        "failures": dict(failures),
        "cells": list(trials),
    }
    _save_heat_map(folder / "matrix.png", summary)
    write_atomic(folder / "table.txt", table(summary, metadata["fairness"]) + "\n")
    write_atomic(folder / "results.json", json.dumps(document, indent=1) + "\n")
    return document


def of_tracker(trials: Trials, tracker: str) -> dict[str, Trials]:
    """The trials of a tracker by its rule, each in the order of the seeds."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for trial in trials:
        if trial["tracker"] == tracker:
            found.setdefault(trial["inner_optimizer"], []).append(trial)
    return {rule: sorted(each, key=lambda trial: trial["seed"]) for rule, each in found.items()}


def summarize(by_rule: Mapping[str, Trials]) -> dict[str, Any]:
    """The statistics of a tracker's rules; those that compare them are over the common seeds.

    Returns:
        `rules`: of each on rendered videos the mean `auc` with `low` and `high` of its interval,
        and the means of `precision20`, `query_loss` and `update_ms`. With two rules or more also
        `ranking` and `pairs`: the difference of every two and its p-value, corrected for their
        number. `real`: `rules`, `ranking` and `pairs` on real targets, if the trials were judged
        on such, else None.
    """
    rendered = _compared(by_rule)
    for rule, trials in by_rule.items():
        rendered["rules"][rule] |= _means(trials, "query_loss", "update_ms")
    if not all(trial.get("real") for trials in by_rule.values() for trial in trials):
        return rendered | {"real": None}
    return rendered | {"real": _compared({r: _on_real(trials) for r, trials in by_rule.items()})}


def judged_on(summary: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """The summaries of the trackers, by what they were judged on."""
    real = {tracker: each["real"] for tracker, each in summary.items() if each["real"]}
    return {"held-out rendered videos": dict(summary)} | ({"real targets": real} if real else {})


def _compared(by_rule: Mapping[str, Trials]) -> dict[str, Any]:
    rules = {}
    for rule, trials in by_rule.items():
        auc = statistics.bootstrap(_scores(trials))
        means = _means(trials, "precision20")
        rules[rule] = {"auc": auc.mean, "low": auc.low, "high": auc.high, **means}
    common = set.intersection(*({trial["seed"] for trial in trials} for trials in by_rule.values()))
    if len(by_rule) < 2 or not common:
        return {"rules": rules, "ranking": None, "pairs": []}
    scores = {
        rule: _scores([trial for trial in trials if trial["seed"] in common])
        for rule, trials in by_rule.items()
    }
    pairs = list(itertools.combinations(scores, 2))
    p_values = ranking.holm([ranking.paired_p(scores[a], scores[b]) for a, b in pairs])
    return {
        "rules": rules,
        "ranking": ranking.rank(scores)._asdict(),
        "pairs": [
            {"a": a, "b": b, "auc_difference": float((scores[a] - scores[b]).mean()), "p": p}
            for (a, b), p in zip(pairs, p_values, strict=True)
        ],
    }


def _on_real(trials: Trials) -> Trials:
    """The trials as if real targets were all that they had been judged on."""
    return [{"seed": trial["seed"], **trial["real"]} for trial in trials]


def _means(trials: Trials, *names: str) -> dict[str, float]:
    return {name: float(np.mean([trial[name] for trial in trials])) for name in names}


def table(summary: Mapping[str, Mapping[str, Any]], fairness: str) -> str:
    """The matrix as text: AUC with its interval, and each tracker's ranking."""
    parts = [_table(each, what) for what, each in judged_on(summary).items()]
    return "\n".join([*parts, f"{fairness[0].upper()}{fairness[1:]}."])


def _table(summary: Mapping[str, Mapping[str, Any]], what: str) -> str:
    rules = _rules(summary)
    width = max(len("tracker"), *map(len, summary))
    widths = [max(17, len(rule)) for rule in rules]
    lines = ["  ".join([f"{'tracker':{width}}", *map(str.rjust, rules, widths)])]
    for tracker, each in summary.items():
        texts = []
        for rule in rules:
            row = each["rules"].get(rule)
            texts.append(f"{row['auc']:.3f} {row['low']:.3f}-{row['high']:.3f}" if row else "-")
        lines.append("  ".join([f"{tracker:{width}}", *map(str.rjust, texts, widths)]))
    lines.append(f"AUC on {what}, 95 % interval over seeds and sequences.")
    for tracker, each in summary.items():
        if each["ranking"]:
            ranks = ", ".join(f"{rule} {r:.2f}" for rule, r in each["ranking"]["ranks"].items())
            difference = each["ranking"]["critical_difference"]
            lines.append(f"{tracker}, mean ranks (critical difference {difference:.2f}): {ranks}")
    return "\n".join([*lines, ""])


def _rules(summary: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """All rules, in the order in which the trackers have them."""
    return list(dict.fromkeys(rule for each in summary.values() for rule in each["rules"]))


def _scores(trials: Trials) -> np.ndarray:
    return np.array([[each["auc"] for each in trial["sequences"].values()] for trial in trials])


def beyond_chance(pair: Mapping[str, Any]) -> bool:
    """Whether the two rules of a pair of `summarize` differ by more than chance would have it."""
    return bool(pair["p"] < statistics.LEVEL)


def _save_heat_map(path: pathlib.Path, summary: Mapping[str, Mapping[str, Any]]) -> None:
    rules, judged = _rules(summary), judged_on(summary)
    size = 2 + 0.9 * len(rules), (1.8 + 0.6 * len(summary)) * len(judged)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(judged), 1, squeeze=False)[:, 0]
    for axes, (what, each) in zip(panels, judged.items(), strict=True):
        _draw_heat_map(axes, each, rules)
        axes.set_title(f"AUC on {what}")
    save_figure(path, figure)


def _draw_heat_map(
    axes: Axes, summary: Mapping[str, Mapping[str, Any]], rules: Sequence[str]
) -> None:
    score = lambda rows, rule: rows["rules"].get(rule, {"auc": np.nan})["auc"]
    values = np.array([[score(each, rule) for rule in rules] for each in summary.values()])
    image = axes.imshow(values, cmap="viridis", aspect="auto")
    middle = (np.nanmin(values) + np.nanmax(values)) / 2
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            color = "white" if value <= middle else "black"
            axes.text(column, row, f"{value:.3f}", ha="center", va="center", color=color)
    axes.set_xticks(range(len(rules)), rules, rotation=30, ha="right")
    axes.set_yticks(range(len(summary)), list(summary))
    axes.figure.colorbar(image, ax=axes)
