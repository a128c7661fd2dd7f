"""What a comparison of inner optimizers leaves behind: table, results and plots."""

import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from basics.figures import line_style, save_figure
from basics.files import write_atomic
from experiments.analysis.statistics import show, summarize
from tracking_tasks.evaluation import plots

_SCORES = ("auc", "precision20", "mean_overlap", "query_loss", "fps")


def write(
    folder: pathlib.Path,
    metadata: Mapping[str, Any],
    trials: Sequence[Mapping[str, Any]],
) -> None:
    """Writes the plots and the table, and `results.json` last."""
    rules = list(dict.fromkeys(trial["inner_optimizer"] for trial in trials))
    by_rule = {rule: [c for c in trials if c["inner_optimizer"] == rule] for rule in rules}
    reference = metadata["paper_rule"] if metadata["paper_rule"] in rules else rules[-1]
    summary = {rule: _summarize(by_rule[rule], by_rule[reference]) for rule in rules}

    curves = {rule: _mean(by_rule[rule], "success_curve") for rule in rules}
    title = f"{metadata['tracker']} on held-out rendered videos, mean over seeds"
    plots.save_success_plot(folder / "success.png", curves, title)
    _save_losses(folder / "inner_loss.png", by_rule, metadata["tracker_config"]["train_steps"])
    if trials[0]["learned_functions"]:
        _save_learned_functions(folder / "learned_functions.png", by_rule)
    write_atomic(folder / "table.txt", table(summary, reference, len(by_rule[reference])) + "\n")
    document = {**metadata, "reference": reference, "summary": summary, "cells": list(trials)}
    write_atomic(folder / "results.json", json.dumps(document, indent=1) + "\n")


def table(summary: Mapping[str, Mapping[str, Any]], reference: str, seeds: int) -> str:
    """The summary as text: mean and 95 % interval over seeds, and paired differences."""
    real = all("real_auc" in row for row in summary.values())
    columns = ["auc", *(["real_auc"] if real else []), "precision20", "query_loss"]
    columns += [f"{name}_difference" for name in (["auc", "real_auc"] if real else ["auc"])]
    width = max(16, *(len(rule) for rule in summary))
    heads = [c.replace("_difference", f" - {reference}").replace("_", " ") for c in columns]
    widths = [max(17, len(head)) for head in heads]
    lines = ["  ".join([f"{'inner optimizer':{width}}", *map(str.rjust, heads, widths)])]
    for rule, row in summary.items():
        texts = [show(row[column], 4) for column in columns]
        lines.append("  ".join([f"{rule:{width}}", *map(str.rjust, texts, widths)]))
    lines.append(
        f"Mean and 95 % interval over {seeds} seed(s); differences are paired by seed. "
        "query loss: after the trained number of inner steps."
    )
    return "\n".join(lines)


def _summarize(
    trials: Sequence[Mapping[str, Any]], reference: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, float | None]]:
    """Each score's mean and interval over seeds; differences to the reference rule by seed."""
    values = {name: [trial[name] for trial in trials] for name in _SCORES}
    values["auc_difference"] = _differences(trials, reference, lambda trial: trial["auc"])
    if all("real" in trial for trial in [*trials, *reference]):
        values["real_auc"] = [trial["real"]["auc"] for trial in trials]
        values["real_auc_difference"] = _differences(trials, reference, lambda c: c["real"]["auc"])
    return {name: summarize(of_seeds) for name, of_seeds in values.items()}


def _differences(trials: Any, reference: Any, score: Callable[[Any], float]) -> list[float]:
    """Differences to the reference rule at equal seeds, where episodes are the same."""
    by_seed = {trial["seed"]: score(trial) for trial in reference}
    return [score(trial) - by_seed[trial["seed"]] for trial in trials if trial["seed"] in by_seed]


def _mean(trials: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    return np.mean([trial[name] for trial in trials], axis=0)


def _save_losses(
    path: pathlib.Path, by_rule: Mapping[str, Sequence[Mapping[str, Any]]], trained: int
) -> None:
    """Support and query loss of every iterate; each rule minimizes the loss that it learned."""
    panels = {
        "inner_losses": "inner loss on the support",
        "query_losses": "outer loss on the query",
    }
    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, (name, label) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        for index, (rule, trials) in enumerate(by_rule.items()):
            curves = np.array([trial[name] for trial in trials])
            steps = np.arange(curves.shape[1])
            style = line_style(index)
            axes.plot(steps, curves.mean(0), marker=".", label=rule, **style)
            axes.fill_between(
                steps, curves.min(0), curves.max(0), color=style["color"], alpha=0.2, linewidth=0
            )
        axes.axvline(trained, color="0.7", linestyle=":", label="trained number of steps")
        axes.set(xlabel="inner step", ylabel=label, yscale="log")
        axes.grid(color="0.9", which="both")
    axes.legend(fontsize="small")
    figure.suptitle("Held-out episodes: mean and range over seeds")
    save_figure(path, figure)


def _save_learned_functions(
    path: pathlib.Path, by_rule: Mapping[str, Sequence[Mapping[str, Any]]]
) -> None:
    """What each rule's loss became (mean over seeds), and where it started, dotted."""
    any_trial = next(iter(by_rule.values()))[0]
    initial = any_trial["learned_functions"]
    figure = Figure(figsize=(4 * len(initial), 3.6), layout="constrained")
    rows = figure.subplots(1, len(initial), squeeze=False)[0]
    for axes, (name, function) in zip(rows, initial.items(), strict=True):
        for index, (rule, trials) in enumerate(by_rule.items()):
            learned = [trial["learned_functions"][name]["learned"] for trial in trials]
            axes.plot(function["x"], np.mean(learned, axis=0), label=rule, **line_style(index))
        axes.plot(function["x"], function["initial"], "k:", label="initial")
        axes.set(title=name, xlabel="distance to the target's centre (trials)")
        axes.grid(color="0.9")
    rows[0].legend(fontsize="small")
    save_figure(path, figure)
