"""A comparison of a paper is one command, which prints its numbers beside ours."""

import numpy as np
import pytest

from experiments import evaluate
from experiments.reproduction.benchmarks import BENCHMARKS
from tests.experiments import programs
from tests.tracking_tasks.data.layouts import write_layout
from tracking_tasks.data.sequences import Sequence


def test_numbers_stand_beside_each_other():
    shown = BENCHMARKS["roam_on_vot2016"].beside({"eao": 0.25, "robustness": 1.0})
    assert shown.splitlines()[:3] == [
        "ROAM Table 1, ROAM++ (the paper : ours)", "  eao: 0.441 : 0.250", "  accuracy: 0.599 : -",
    ]  # fmt: skip
    assert "no number" in BENCHMARKS["gradnet_on_tc128"].beside({"auc": 0.5})
    assert "server" in BENCHMARKS["dimp_on_got10k"].beside({})


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_comparison_is_by_the_tracker_of_its_paper(name):
    found = BENCHMARKS[name]
    assert found.tracker == found.item.partition(" ")[0].lower().replace("metartt", "meta_rtt")
    assert found.command.startswith(f"python3 bootstrap.py -m experiments.{found.program} ")


def test_evaluate_prints_the_paper_s_number(tmp_path, monkeypatch, capsys):
    """On a miniature of TColor-128, with boxes that are finished already."""
    frames = tuple(np.zeros((3, 32, 32, 3), np.uint8))
    sequence = Sequence("Ball_ce1", frames, np.float32([[4, 4, 8, 8]] * 3))
    write_layout(tmp_path / "data", "tc128", [sequence])

    def follow(tracker, sequences, keep, **_):
        for each in sequences:
            still = evaluate.evaluation.SequenceResult(
                each.name, each.boxes, each.boxes, np.ones(2), np.ones(3)
            )
            keep(still)

    monkeypatch.setattr(evaluate.evaluation, "evaluate", follow)
    command = BENCHMARKS["dslt_on_tc128"].command.split()[4:-2]
    folders = [f"--dataset_dir={tmp_path / 'data'}", f"--output_dir={tmp_path / 'out'}"]
    assert not programs.run(evaluate, *command, *folders)
    printed = capsys.readouterr().out
    assert "DSLT Figure 7, DSLT (the paper : ours)\n  precision20: 0.807 : 1.000" in printed
