"""What trials found: means over targets, and how far two trackers are apart on the same trials."""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from basics.errors import InputError
from basics.files import parse_json
from experiments.analysis.statistics import Interval, bootstrap
from tracking_tasks.data.degraded_copies import HIDDEN, KINDS
from tracking_tasks.evaluation import SequenceResult, metrics
from tracking_tasks.evaluation.trials import CLEAN, Trial

METRICS = ("auc", "precision20")

Row = Mapping[str, Any]


def row(trial: Trial, split: str, result: SequenceResult) -> dict[str, Any]:
    """What is kept of a trial: where it comes from, and its scores where the target is seen."""
    seen = np.all(result.truth[:, 2:] > 0, axis=1)
    found, truth = result.boxes[seen], result.truth[seen]
    scores = {
        "auc": metrics.success_auc(found, truth),
        "precision20": metrics.precision(found, truth),
    }
    return {
        "target": trial.target,
        "number": trial.number,
        "split": split,
        "kind": trial.kind,
        **{metric: round(scores[metric], 4) for metric in METRICS},
    }


def parts(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each split, and of all splits those of clean, hidden and degraded video."""
    found = {split: [each for each in rows if each["split"] == split] for split in _values(rows)}
    found["clean"] = [each for each in rows if each["kind"] == CLEAN]
    found["hidden"] = [each for each in rows if each["kind"] == HIDDEN]
    found["degraded"] = [each for each in rows if each["kind"] in KINDS]
    return {name: part for name, part in {**found, "all": list(rows)}.items() if part}


def means(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Of each part each metric's mean over targets, each of which is the mean of its trials."""
    return {
        name: {
            metric: round(float(_by_target(part, lambda each: each[metric]).mean()), 4)  # noqa: B023
            for metric in METRICS
        }
        for name, part in parts(rows).items()
    }


def differences(rows: Sequence[Row], baseline: Sequence[Row]) -> dict[str, dict[str, Interval]]:
    """Of each part each metric's mean difference, with a 95 % bootstrap interval over targets.

    Args:
        rows: of the trials of one tracker.
        baseline: of another one; trials that only one of them has are left out.

    Raises:
        InputError: they have no trial in common.
    """
    key = lambda each: (each["target"], each["number"], each["kind"])
    reference = {key(each): each for each in baseline}
    common = [each for each in rows if key(each) in reference]
    if not common:
        raise InputError("the baseline has no trial in common: use the same videos and --seed")

    def difference(part: Sequence[Row], metric: str) -> Interval:
        change = lambda each: each[metric] - reference[key(each)][metric]
        return bootstrap(_by_target(part, change)[None])

    return {
        name: {metric: difference(part, metric) for metric in METRICS}
        for name, part in parts(common).items()
    }


def read(folder: pathlib.Path) -> list[dict[str, Any]]:
    """The rows that `experiments.validate` wrote to a folder.

    Raises:
        InputError: there are none.
    """
    path = folder / "results.json"
    try:
        rows = list(parse_json(path.read_bytes())["trials"])
        wanted = {"target", "number", "split", "kind", *METRICS}
        if not all(wanted <= row.keys() and _plain(row) for row in rows):
            raise ValueError("a trial lacks something")
        return rows
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{path} holds no trials: give a folder of experiments.validate") from None


def table(
    found: Mapping[str, Mapping[str, float]],
    compared: Mapping[str, Mapping[str, Interval]] | None = None,
) -> str:
    """The means as a table for the terminal, and the differences to a baseline if there are any."""
    lines = [f"{'':10}{'AUC':>7}{'P@20':>7}" + ("  AUC - baseline" if compared else "")]
    for name, scores in found.items():
        line = f"{name:10}" + "".join(f"{scores[metric]:7.3f}" for metric in METRICS)
        if compared and name in compared:
            for metric in METRICS:
                mean, low, high = compared[name][metric]
                line += f"  {mean:+.3f} [{low:+.3f}, {high:+.3f}]"
        lines.append(line)
    return "\n".join(lines)


def _plain(found: Row) -> bool:
    """Whether a row has numbers for scores, and else what can be a key."""
    scores = all(isinstance(found[metric], int | float) for metric in METRICS)
    return scores and all(isinstance(value, int | float | str) for value in found.values())


def _values(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(each["split"] for each in rows))


def _by_target(rows: Sequence[Row], value: Callable[[Row], float]) -> Float[np.ndarray, "targets"]:
    targets: dict[str, list[float]] = {}
    for each in rows:
        targets.setdefault(each["target"], []).append(value(each))
    return np.array([np.mean(values) for values in targets.values()])
