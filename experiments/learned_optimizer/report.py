"""The table of a learned optimizer beside others, and a plot of each task."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from basics.figures import save_figure
from experiments.learned_optimizer.evaluation import (
    HORIZONS,
    RECORDED,
    final_losses,
    interquartile_mean,
    speed_up,
)

# "curves" and "rates" of the best rate, by the number of steps.
Result = dict[str, dict[str, Any]]
Found = dict[str, dict[str, Result]]  # by task and optimizer

_BASELINE = "Adam"
# Okabe and Ito's colours, which the colour-blind tell apart; what has no rate to tune is black.
_COLORS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#999999")
_SMALL = 1e-12  # a loss below counts as this one


def ratios(found: Found, name: str, steps: int) -> dict[str, np.ndarray]:
    """Adam's final loss over an optimizer's, by task; one entry a seed."""
    return {
        task: _final(results[_BASELINE], steps) / _final(results[name], steps)
        for task, results in found.items()
    }


def speed_ups(found: Found, name: str, steps: int) -> dict[str, np.ndarray]:
    """How much sooner an optimizer reaches the loss that Adam ends with, by task and seed."""
    both = lambda results: zip(
        np.array(results[name]["curves"][str(steps)], float),
        _final(results[_BASELINE], steps),
        strict=True,
    )
    return {
        task: np.array([speed_up(curve, goal, steps) for curve, goal in both(results)])
        for task, results in found.items()
    }


def table(found: Found, learned: Sequence[str], times: Mapping[str, float]) -> str:
    """Everything in plain text; what is learned also by task."""
    names = list(next(iter(found.values())))
    width = max(map(len, [*names, *found])) + 2
    lines = []
    for steps in HORIZONS:
        lines.append(f"\n{steps} steps: geometric mean of final losses, best rate in brackets")
        for task, results in found.items():
            lines.append(f"  {task}")
            for name in names:
                lines.append(f"    {name:{width}} {_cell(results[name], steps)}")
        lines.append(f"\n{steps} steps: interquartile means over tasks and seeds, 95 % intervals")
        heads = ("Adam's loss / its loss", "speed-up over Adam", "diverged")
        lines.append("    " + " " * width + "".join(f"{head:>26}" for head in heads))
        for name in names:
            scores = (ratios(found, name, steps), speed_ups(found, name, steps))
            shown = "".join(f"{_interval(score):>26}" for score in scores)
            lines.append(f"    {name:{width}}{shown}{_diverged(found, name, steps):>26}")
        for name in learned:
            lines += ["", f"    {name}, by task: median of Adam's loss / its loss; of speed-ups"]
            by_task = ratios(found, name, steps), speed_ups(found, name, steps)
            for task in found:
                medians = "".join(f"{np.median(scores[task]):12.3g}" for scores in by_task)
                lines.append(f"    {task:{width}}{medians}")
    lines.append("\nmilliseconds of a step on 266,610 parameters; times Adam's")
    for name, time in times.items():
        lines.append(f"    {name:{width}}{time:12.2f}{time / times[_BASELINE]:12.2f}")
    return "\n".join(lines).strip("\n")


def save_plot(path: pathlib.Path, task: str, results: Mapping[str, Result]) -> None:
    """The median over seeds of the losses by step, a panel for each number of steps."""
    figure = Figure(figsize=(15, 4.5), layout="constrained")
    for axes, steps in zip(figure.subplots(1, len(HORIZONS)), HORIZONS, strict=True):
        for index, (name, result) in enumerate(results.items()):
            curves = np.array(result["curves"][str(steps)], float)
            rate = result["rates"][str(steps)]
            label = name if rate is None else f"{name}, {rate:.2g}"
            own = rate is None
            axes.plot(
                RECORDED[: curves.shape[1]],
                np.median(curves, axis=0),
                label=label,
                color="black" if own else _COLORS[index % len(_COLORS)],
                linewidth=2.5 if own else 1.2,
                linestyle=("-", "--", ":")[index % 3],
            )
        axes.set(xlabel="step", ylabel="loss", yscale="log", title=f"{task}, {steps} steps")
        axes.grid(color="0.9")
        axes.set_axisbelow(True)
        axes.legend(fontsize="x-small")
    save_figure(path, figure)


def _final(result: Result, steps: int) -> np.ndarray:
    curves = np.array(result["curves"][str(steps)], float)
    return np.maximum(final_losses(curves, steps), _SMALL)


def _cell(result: Result, steps: int) -> str:
    rate = result["rates"][str(steps)]
    mean = np.exp(np.log(_final(result, steps)).mean())
    return f"{mean:.4g}" + ("" if rate is None else f" [{rate:.3g}]")


def _interval(scores: Mapping[str, np.ndarray]) -> str:
    return "{:.2f} [{:.2f}, {:.2f}]".format(*interquartile_mean(scores))


def _diverged(found: Found, name: str, steps: int) -> int:
    """How many trainings end worse than they began, or with no finite loss."""
    curves = [np.array(r[name]["curves"][str(steps)], float) for r in found.values()]
    return sum(int((~(final_losses(c, steps) <= c[:, 0])).sum()) for c in curves)
