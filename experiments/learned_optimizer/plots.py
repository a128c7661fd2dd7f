"""Losses by step, a picture a task."""

import pathlib
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from basics.figures import save_figure
from experiments.learned_optimizer.evaluation import HORIZONS, RECORDED
from experiments.learned_optimizer.report import Result

# Okabe and Ito's colours, which the colour-blind tell apart; what has no rate to tune is black.
_COLORS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#999999")


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
