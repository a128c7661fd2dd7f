"""What trainings of a learned optimizer and of others come to: a record, and its tables."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.learned_optimizer.evaluation import (
    HORIZONS,
    final_losses,
    interquartile_mean,
    speed_up,
)

# "curves" and "rates" of the best rate, by the number of steps.
Result = dict[str, dict[str, Any]]
Found = dict[str, dict[str, Result]]  # by task and optimizer
# By task, optimizer and number of steps: "losses" at the end (None where not finite) and
# "speed_ups", one entry a seed; "rate", or None; "diverged", how many trainings end worse than they
# began or with no finite loss.
Record = dict[str, dict[str, dict[str, dict[str, Any]]]]

_BASELINE = "Adam"
_SMALL = 1e-12  # a loss below counts as this one
_HEADS = ("Adam's loss / its loss", "speed-up over Adam", "diverged")


def record(found: Found) -> Record:
    """The numbers that the tables need, in five digits."""
    return {
        task: {
            name: {str(steps): _outcome(result, results[_BASELINE], steps) for steps in HORIZONS}
            for name, result in results.items()
        }
        for task, results in found.items()
    }


def ratios(record: Record, name: str, steps: int) -> dict[str, np.ndarray]:
    """Adam's final loss over an optimizer's, by task; one entry a seed."""
    return {
        task: _losses(rows[_BASELINE][str(steps)]) / _losses(rows[name][str(steps)])
        for task, rows in record.items()
    }


def speed_ups(record: Record, name: str, steps: int) -> dict[str, np.ndarray]:
    """How much sooner an optimizer reaches the loss that Adam ends with, by task and seed."""
    return {task: np.array(rows[name][str(steps)]["speed_ups"]) for task, rows in record.items()}


def summary(record: Record, name: str, steps: int) -> list[str]:
    """An optimizer's cells below `_HEADS`: interquartile means over tasks and seeds; a count."""
    scores = ratios(record, name, steps), speed_ups(record, name, steps)
    means = ["{:.2f} [{:.2f}, {:.2f}]".format(*interquartile_mean(score)) for score in scores]
    return [*means, str(sum(rows[name][str(steps)]["diverged"] for rows in record.values()))]


def table(document: Mapping[str, Any], learned: Sequence[str]) -> str:
    """Everything in plain text; what is learned also by task.

    Args:
        document: what `evaluate` writes to `record.json`.
        learned: optimizers that are shown by task too.
    """
    record, times = document["tasks"], document["milliseconds a step"]
    names = list(next(iter(record.values())))
    width = max(map(len, [*names, *record])) + 2
    lines = []
    for steps in HORIZONS:
        lines.append(f"\n{steps} steps: geometric mean of final losses, best rate in brackets")
        for task, rows in record.items():
            lines.append(f"  {task}")
            lines += [f"    {name:{width}} {_cell(rows[name][str(steps)])}" for name in names]
        lines.append(f"\n{steps} steps: interquartile means over tasks and seeds, 95 % intervals")
        lines.append("    " + " " * width + "".join(f"{head:>26}" for head in _HEADS))
        for name in names:
            cells = "".join(f"{cell:>26}" for cell in summary(record, name, steps))
            lines.append(f"    {name:{width}}{cells}")
        for name in learned:
            lines += ["", f"    {name}, by task: median of Adam's loss / its loss; of speed-ups"]
            by_task = ratios(record, name, steps), speed_ups(record, name, steps)
            for task in record:
                medians = "".join(f"{np.median(scores[task]):12.3g}" for scores in by_task)
                lines.append(f"    {task:{width}}{medians}")
    lines.append("\nmilliseconds of processor time of a step on 266,610 parameters; times Adam's")
    for name, time in times.items():
        lines.append(f"    {name:{width}}{time:12.2f}{time / times[_BASELINE]:12.2f}")
    return "\n".join(lines).strip("\n")


def page(document: Mapping[str, Any], learned: Sequence[str]) -> str:
    """The tables of a page of the docs, in Markdown; arguments as those of `table`."""
    record, times = document["tasks"], document["milliseconds a step"]
    names = list(next(iter(record.values())))
    parts = []
    for steps in HORIZONS:
        rows = [(name, *summary(record, name, steps)) for name in names]
        parts.append(_markdown((f"{steps} steps", *_HEADS), rows))
    for name in learned:
        scores = {steps: ratios(record, name, steps) for steps in HORIZONS}
        rows = [
            (task, *(f"{np.median(scores[steps][task]):.3g}" for steps in HORIZONS))
            for task in record
        ]
        heads = (f"{name}: Adam's loss / its loss, median", *(f"{n} steps" for n in HORIZONS))
        parts.append(_markdown(heads, rows))
    rows = [(name, f"{t:.2f}", f"{t / times[_BASELINE]:.2f}") for name, t in times.items()]
    parts.append(_markdown(("a step on 266,610 parameters", "processor ms", "times Adam's"), rows))
    return "\n\n".join(parts)


def _outcome(result: Result, baseline: Result, steps: int) -> dict[str, Any]:
    """An entry of a record."""
    curves = np.array(result["curves"][str(steps)], float)
    goals = _final(baseline, steps)
    diverged = ~(final_losses(curves, steps) <= curves[:, 0])
    return {
        "rate": result["rates"][str(steps)],
        "losses": [_rounded(loss) for loss in _final(result, steps)],
        "speed_ups": [
            _rounded(speed_up(curve, goal, steps))
            for curve, goal in zip(curves, goals, strict=True)
        ],
        "diverged": int(diverged.sum()),
    }


def _final(result: Result, steps: int) -> np.ndarray:
    curves = np.array(result["curves"][str(steps)], float)
    return np.maximum(final_losses(curves, steps), _SMALL)


def _rounded(value: float) -> float | None:
    return float(f"{value:.5g}") if np.isfinite(value) else None


def _losses(outcome: Mapping[str, Any]) -> np.ndarray:
    return np.array([np.inf if loss is None else loss for loss in outcome["losses"]])


def _cell(outcome: Mapping[str, Any]) -> str:
    mean = np.exp(np.log(_losses(outcome)).mean())
    return f"{mean:.4g}" + ("" if outcome["rate"] is None else f" [{outcome['rate']:.3g}]")


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
