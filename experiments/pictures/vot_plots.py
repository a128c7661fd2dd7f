"""The plots of VOT's reports, from what `experiments.vot` left."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from basics.errors import InputError
from tracking_tasks.evaluation import plots


def read(folder: pathlib.Path) -> dict[str, Any]:
    """Returns the results of a VOT experiment; nothing if the folder holds none."""
    try:
        found = json.loads((folder / "results.json").read_text())
        return found if "expected_overlap" in found else {}
    except (OSError, ValueError, TypeError):
        return {}


def save(folder: pathlib.Path, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Writes the accuracy-robustness plot and the expected overlap curves.

    The abscissa of the former is the reliability where robustness is a number of failures. Without
    runs long enough for an EAO there is no plot of curves.

    Args:
        folder: where to.
        found: what `experiments.vot` writes to `results.json`, by the name to show.

    Raises:
        InputError: the results are of different challenges.
    """
    challenges = sorted({each["challenge"] for each in found.values()})
    if len(challenges) > 1:
        raise InputError(f"these results do not compare: they are of {', '.join(challenges)}")
    count = len(next(iter(found.values()))["sequences"])
    title = f"{challenges[0]}, {count} sequences"
    points = {
        name: (each["accuracy"], each.get("reliability", each["robustness"]))
        for name, each in found.items()
    }
    plots.save_accuracy_robustness_plot(folder / "accuracy_robustness.png", points, title)
    scores = {name: each["eao"] for name, each in found.items() if "eao" in each}
    if scores:
        curves = {name: np.array(found[name]["expected_overlap"]) for name in scores}
        low, high = next(iter(found.values()))["interval"]
        path = folder / "expected_overlap.png"
        plots.save_expected_overlap_plot(path, curves, scores, (low, high), title)
