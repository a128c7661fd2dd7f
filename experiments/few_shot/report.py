"""What an experiment leaves behind: table, results and adaptation curves."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from basics.figures import line_style, save_figure
from basics.files import write_atomic
from experiments.analysis.statistics import show, summarize
from experiments.few_shot.evaluation import Curves
from experiments.few_shot.tasks import Task


def write(
    folder: pathlib.Path,
    task: Task,
    metadata: Mapping[str, Any],
    rows: Mapping[str, Mapping[str, Any]],
    curves: Mapping[str, Curves],
) -> str:
    """Writes the plot, the table, and `results.json` last.

    Args:
        folder: where to.
        task: what was learned.
        metadata: settings that all rows share.
        rows: of each method, its number of trained steps (`inner_steps`) and what else to keep.
        curves: of each method.

    Returns:
        The table.
    """
    summaries = {name: _summarize(curves[name], rows[name]["inner_steps"]) for name in rows}
    _save_curves(folder / "adaptation.png", task, metadata, rows, summaries)
    text = _table(task, rows, summaries)
    write_atomic(folder / "table.txt", text + "\n")
    methods = {name: {**rows[name], **summaries[name]} for name in rows}
    document = {**metadata, "methods": methods}
    write_atomic(folder / "results.json", json.dumps(document, indent=1) + "\n")
    return text


def _summarize(curves: Curves, trained: int) -> dict[str, Any]:
    """Mean and 95 % interval over episodes, of each iterate and after the trained steps."""
    scores, losses = _by_step(curves.scores), _by_step(curves.losses)
    return {
        "episodes": len(curves.scores),
        "score": scores[trained],
        "score_before": scores[0],
        "scores_by_step": scores,
        "losses_by_step": losses,
    }


def _by_step(values: Float[np.ndarray, "episodes steps_plus_1"]) -> list[dict[str, float | None]]:
    """Mean and interval after each step; None from where a fit diverges."""
    diverged: dict[str, float | None] = {"mean": None, "interval": None}
    return [
        summarize(of_step) if np.isfinite(of_step).all() else diverged
        for of_step in values.T.astype(float)
    ]


def _show(summary: Mapping[str, float | None]) -> str:
    return "diverges" if summary["mean"] is None else show(summary, 4)


def _table(
    task: Task, rows: Mapping[str, Mapping[str, Any]], summaries: Mapping[str, Mapping[str, Any]]
) -> str:
    width = max(16, *(len(name) for name in rows))
    columns = ["before the fit", "after", "steps", "after more", "steps", "minutes"]
    lines = [
        f"{task.score_name} on the query",
        "  ".join([f"{'method':{width}}", *(f"{c:>17}" for c in columns)]),
    ]
    for name, row in rows.items():
        summary = summaries[name]
        last = len(summary["scores_by_step"]) - 1
        texts = [
            _show(summary["score_before"]),
            _show(summary["score"]),
            str(row["inner_steps"]),
            _show(summary["scores_by_step"][last]),
            str(last),
            f"{row['minutes']:.1f}",
        ]
        lines.append("  ".join([f"{name:{width}}", *(f"{text:>17}" for text in texts)]))
    episodes = next(iter(summaries.values()))["episodes"]
    lines.append(f"Mean and 95 % interval over {episodes} test episodes; minutes of training.")
    if task.published:
        others = ", ".join(f"{name} {score:.3f}" for name, score in task.published.items())
        lines.append(f"Published: {others}.")
    return "\n".join(lines)


def _save_curves(
    path: pathlib.Path,
    task: Task,
    metadata: Mapping[str, Any],
    rows: Mapping[str, Mapping[str, Any]],
    summaries: Mapping[str, Mapping[str, Any]],
) -> None:
    """Score by number of steps, a dot where each method was trained for."""
    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.subplots()
    # What diverges leaves the picture instead of flattening all others.
    top = 3 * max(1.0, *(summary["score_before"]["mean"] or 0.0 for summary in summaries.values()))
    for index, (name, summary) in enumerate(summaries.items()):
        style = line_style(index)
        by_step = summary["scores_by_step"]
        means, spread = (np.array([one[k] for one in by_step], float) for k in ("mean", "interval"))
        steps = np.arange(len(means))
        axes.plot(steps, means, label=name, **style)
        color = style["color"]
        shown = means <= top
        axes.fill_between(
            steps, means - spread, means + spread, where=shown, color=color, alpha=0.2, lw=0
        )
        trained = rows[name]["inner_steps"]
        axes.plot(trained, means[trained], "o", color=color)
    axes.set(
        xlabel="inner step (dot: the number trained for)",
        ylabel=f"{task.score_name} on the query",
        title=metadata["title"],
        yscale=task.score_scale,
    )
    axes.set_ylim(top=min(axes.get_ylim()[1], top))
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize="small", frameon=False)
    save_figure(path, figure)
