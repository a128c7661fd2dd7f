"""The plots of VOT's reports, from what `experiments.vot` left."""

import math
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from basics.errors import InputError
from basics.files import parse_json, require_regular
from tracking_tasks.evaluation import plots


def read(folder: pathlib.Path) -> dict[str, Any]:
    """Returns the results of a VOT experiment; nothing if the folder holds none."""
    path = folder / "results.json"
    try:
        require_regular(path)
        found = parse_json(path.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict) or "expected_overlap" not in found:
        return {}
    if not _has_form(found):
        raise InputError(f"{path} is damaged: run experiments.vot again")
    return found


def _has_form(found: Mapping[str, Any]) -> bool:
    """Whether results hold what is drawn, and numbers where numbers belong."""
    numbers = ("accuracy", "robustness", *({"eao", "reliability"} & found.keys()))
    curve, interval = found["expected_overlap"], found.get("interval")
    return (
        isinstance(found.get("challenge"), str)
        and isinstance(found.get("sequences"), dict)
        and all(_is_number(found.get(name)) for name in numbers)
        and isinstance(curve, list)
        and all(map(_is_number, curve))
        and isinstance(interval, list)
        and len(interval) == 2
        and all(_is_number(end) and 0 <= end < 10**6 for end in interval)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


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
