import json

import numpy as np
import pytest

from basics.errors import InputError
from experiments.analysis import validation_results
from tracking_tasks.evaluation import SequenceResult
from tracking_tasks.evaluation.trials import Trial


def row(target, number, auc, split="val", kind="clean"):
    return {
        "target": target,
        "number": number,
        "split": split,
        "kind": kind,
        "auc": auc,
        "precision20": 1.0,
    }


ROWS = [
    row("a", 0, 0.2),
    row("a", 1, 0.6, kind="dark"),
    row("b", 0, 0.8),
    row("c", 0, 0.5, "val_hard"),
]


def test_targets_count_alike_however_many_trials_they_make():
    means = validation_results.means(ROWS)
    assert list(means) == ["val", "val_hard", "clean", "degraded", "all"]
    aucs = {name: scores["auc"] for name, scores in means.items()}
    expected = {"val": 0.6, "val_hard": 0.5, "clean": 0.5, "degraded": 0.6, "all": 0.5667}
    assert aucs == pytest.approx(expected, abs=1e-9)


def test_frames_that_hide_the_target_do_not_count():
    truth = np.tile(np.float32([10, 10, 20, 20]), (6, 1))
    found = truth.copy()
    truth[4:], found[4:, 0] = 0, 80
    found[3, 0] = 90
    trial = Trial("a", 1, 0, 6, None, "hidden")
    result = SequenceResult("a_01_hidden", found, truth, np.ones(5), np.ones(6))
    scores = validation_results.row(trial, "val", result)
    # Three frames of overlap 1, which is above 20 of the 21 thresholds, and one of 0.
    assert scores["auc"] == pytest.approx(3 / 4 * 20 / 21, abs=1e-4)
    assert scores["precision20"] == 0.75
    assert list(validation_results.parts([scores])) == ["val", "hidden", "all"]


def test_differences_are_paired_and_leave_out_what_one_lacks():
    other = [row("a", 0, 0.1), row("b", 0, 0.6), row("c", 0, 0.5, "val_hard"), row("a", 2, 0.9)]
    found = validation_results.differences(ROWS, other)
    mean, low, high = found["val"]["auc"]
    assert mean == pytest.approx(0.15)
    # Of two targets each resample holds one twice with probability 1/4.
    assert (low, high) == pytest.approx((0.1, 0.2))
    assert found["all"]["auc"].mean == pytest.approx(0.1)
    assert found["val_hard"]["precision20"] == (0, 0, 0)
    assert "degraded" not in found


def test_the_interval_is_that_of_targets_not_of_trials():
    rows = [row(str(t), n, 0.5 + 0.1 * (t % 2)) for t in range(16) for n in range(50)]
    baseline = [row(str(t), n, 0.5) for t in range(16) for n in range(50)]
    mean, low, high = validation_results.differences(rows, baseline)["all"]["auc"]
    assert mean == pytest.approx(0.05)
    half = 1.96 * 0.05 / np.sqrt(16)
    assert high - low == pytest.approx(2 * half, rel=0.1)


def test_nothing_to_compare_with(tmp_path):
    with pytest.raises(InputError, match="no trial in common"):
        validation_results.differences(ROWS, [row("d", 0, 0.1)])
    with pytest.raises(InputError, match="holds no trials"):
        validation_results.read(tmp_path)
    (tmp_path / "results.json").write_text(json.dumps({"trials": ROWS}))
    assert validation_results.read(tmp_path) == ROWS
