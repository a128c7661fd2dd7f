"""The record of a table: everything that was measured, and what it says of the paper's orderings.

A run leaves it as `summary.json`. Those that count are kept in `docs/papers/records`.
"""

import json
import os
import pathlib
import platform
import shlex
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from basics.errors import InputError
from basics.files import read_json, write_atomic
from experiments.analysis import ranking
from experiments.analysis.paired_tests import (
    Differences,
    Estimate,
    over,
    over_seeds_and_targets,
)
from experiments.analysis.statistics import LEVEL, summarize
from experiments.reproduction.measurement import REAL
from experiments.reproduction.paper_table import Ordering, Score, Table

VERDICTS = ("holds", "fails", "undecided")

Trials = Mapping[str, Sequence[Mapping[str, Any]]]  # by row, in the order of the seeds
Record = dict[str, Any]


def make(table: Table, metadata: Mapping[str, Any], trials: Trials) -> Record:
    """The record of finished trials.

    Args:
        table: that was redone.
        metadata: what the run was, JSON-serializable.
        trials: of every row, one a seed.
    """
    scores = measured_scores(table, trials)
    rows = [
        {
            "name": row.name,
            "paper": dict(row.paper),
            "ours": {
                score.name: summarize(_values(trials[row.name], score))
                for score in scores
                if all(score.name in trial["scores"] for trial in trials[row.name])
            },
        }
        for row in table.rows
    ]
    every = [trial for of_row in trials.values() for trial in of_row]
    return {
        "table": table.name,
        "title": table.title,
        "source": table.source,
        **metadata,
        "seconds": round(sum(trial["seconds"] for trial in every)),
        "targets": _targets(every),
        "scores": [
            {"name": score.name, "label": score.label, "digits": score.digits} for score in scores
        ],
        "rows": rows,
        "orderings": verdicts(table, scores, trials),
        "trials": every,
    }


def run_metadata(command: Sequence[str]) -> dict[str, Any]:
    """Command, date and machine of a run, without the names of its host and folders.

    Args:
        command: its arguments; the value of one that ends in `_dir` becomes the name of the folder
            in capitals.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    devices = jax.devices()
    kind = "" if devices[0].platform == "cpu" else f", {len(devices)} x {devices[0].device_kind}"
    return {
        "command": shlex.join(["python3", "bootstrap.py", "-m", "experiments.reproduce"])
        + "".join(f" {shlex.quote(_without_path(each))}" for each in command),
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{cores} core(s) of {platform.machine()}, {platform.system()}{kind}",
    }


def verdicts(table: Table, scores: Sequence[Score], trials: Trials) -> list[dict[str, Any]]:
    """What is said of each of the paper's orderings, by each score that it was measured by.

    Returns:
        For each `better`, `worse` and `score`; `difference`, its paired mean, which counts for the
        better row, and `interval`, half the width of its own 95 % interval, both in the unit of
        the score's label; `p` after Holm's correction for all of them; `verdict`, one of
        `VERDICTS`: decided if p is below 5 %, "fails" if it is the worse row that is better.
    """
    claims = [
        (ordering, score)
        for ordering in table.orderings
        for score in scores
        if score.name.removeprefix(REAL) == ordering.score
    ]
    estimates = [difference(trials, ordering, score) for ordering, score in claims]
    found = []
    for (ordering, score), estimate, p in zip(
        claims, estimates, ranking.holm([each.p for each in estimates]), strict=True
    ):
        decided = "holds" if estimate.mean > 0 else "fails"
        width = estimate.half_width
        found.append(
            {
                "better": ordering.better,
                "worse": ordering.worse,
                "score": score.name,
                "difference": estimate.mean,
                "interval": width if np.isfinite(width) else None,
                "p": p,
                "verdict": decided if p < LEVEL else "undecided",
            }
        )
    return found


def difference(trials: Trials, ordering: Ordering, score: Score) -> Estimate:
    """By how much the better row is better, paired by seed and, as far as they are, by target."""
    values, trained = differences(trials, ordering, score)
    if score.name.startswith(REAL) and values.shape[1] > 1:
        return over_seeds_and_targets(values, trained)
    # Other videos with every seed: of a tracker that no seed trained, each is a sample.
    return over(values.mean(1).tolist() if trained else values.ravel().tolist())


def differences(trials: Trials, ordering: Ordering, score: Score) -> tuple[Differences, bool]:
    """The better row's score minus the worse's, in its unit, positive where it is better.

    Returns:
        For every seed and target, or every seed where a score is not a mean over targets; and
        whether a seed trained one of the two.
    """
    sign = score.factor if score.higher_is_better else -score.factor
    pairs = list(zip(trials[ordering.better], trials[ordering.worse], strict=True))
    trained = any(trial["trained"] for pair in pairs for trial in pair)
    by_target = all(score.name in trial["targets"] for pair in pairs for trial in pair)
    rows = []
    for better, worse in pairs:
        if by_target:
            ones, others = better["targets"][score.name], worse["targets"][score.name]
            rows.append([sign * (value - others[name]) for name, value in ones.items()])
        else:
            rows.append([sign * (better["scores"][score.name] - worse["scores"][score.name])])
    return np.array(rows), trained


def measured_scores(table: Table, trials: Trials) -> list[Score]:
    """The table's scores that were measured, on rendered and on real video."""
    measured = {name for of_row in trials.values() for trial in of_row for name in trial["scores"]}
    return [score for score in table.all_scores() if score.name in measured]


def write(path: pathlib.Path, record: Record) -> None:
    """Writes a record as JSON, with a line for each trial."""
    lines = ",\n".join(f"  {json.dumps(_rounded(trial))}" for trial in record["trials"])
    head = json.dumps({**record, "trials": []}, indent=1)
    assert head.endswith('"trials": []\n}')
    write_atomic(path, head.removesuffix("[]\n}") + f"[\n{lines}\n ]\n}}\n")


def read_all(folder: pathlib.Path) -> dict[str, Record]:
    """The records of a folder by the name of their table.

    Raises:
        InputError: a file is damaged, or is not named like its table.
    """
    records = {path.stem: read_json(path) for path in sorted(folder.glob("*.json"))}
    for name, record in records.items():
        if record.get("table") != name:
            raise InputError(f"{folder / name}.json is no record of {name}: name it by its table")
    return records


def _targets(trials: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How many rendered videos a seed draws, and which real targets there are."""
    real: dict[str, None] = {}
    rendered = 0
    for trial in trials:
        for score, values in trial["targets"].items():
            if score.startswith(REAL):
                real |= dict.fromkeys(values)
            else:
                rendered = max(rendered, len(values))
    return {"rendered": rendered, "real": list(real)}


def _values(trials: Sequence[Mapping[str, Any]], score: Score) -> list[float]:
    return [trial["scores"][score.name] * score.factor for trial in trials]


def _without_path(argument: str) -> str:
    flag, equals, value = argument.partition("=")
    if not equals or not flag.endswith("_dir"):
        return argument
    return f"{flag}={pathlib.Path(value).name.upper()}"


def _rounded(value: Any) -> Any:
    """The same with six significant digits."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return value
