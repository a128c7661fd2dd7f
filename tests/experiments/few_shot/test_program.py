"""The program: what it leaves behind, resuming, and its bad input."""

import json
import math

import numpy as np
import pytest

from basics import tensors
from experiments.few_shot import __main__ as program
from experiments.few_shot import report
from experiments.few_shot.evaluation import Curves
from experiments.few_shot.methods import METHODS
from experiments.few_shot.tasks.sinusoid import Sinusoid
from tests.experiments import programs
from tests.experiments.few_shot import data

SMALL = ["--task=sinusoid", "--outer_steps=2", "--test_episodes=20", "--more_steps=2", "--shots=40"]


def test_a_run_leaves_a_table_results_curves_and_the_learner(tmp_path, capsys):
    flags = [*SMALL, "--inner_optimizer=ridge", f"--output_dir={tmp_path}"]
    assert programs.run(program, *flags) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    row = results["methods"]["ridge"]
    assert (row["episodes"], row["inner_steps"], row["outer_steps"]) == (20, 1, 2)
    assert len(row["scores_by_step"]) == 4 and row["score"] == row["scores_by_step"][1]
    assert row["score"]["mean"] < row["score_before"]["mean"]
    # In closed form, further steps change nothing.
    assert math.isclose(row["score"]["mean"], row["scores_by_step"][3]["mean"], rel_tol=1e-5)
    assert (tmp_path / "adaptation.png").read_bytes().startswith(b"\x89PNG")
    assert "ridge" in capsys.readouterr().out
    saved = tmp_path / "ridge" / "learner.safetensors"
    assert tensors.read_metadata(saved, "metaopt learner 1", "it")["inner_optimizer"] == "ridge"
    assert "head.log_scale" in tensors.read(saved)

    assert programs.run(program, *flags) == 1
    assert "--resume" in programs.error_line(capsys)
    assert programs.run(program, *flags, "--resume") == 0
    again = json.loads((tmp_path / "results.json").read_text())["methods"]["ridge"]
    assert again["scores_by_step"] == row["scores_by_step"]


def test_intervals_are_those_of_the_mean_and_divergence_is_named(tmp_path):
    scores = np.full((4, 3), [0.5, 1.0, np.inf])
    scores[:, 1] = [1, 2, 3, 4]
    table = report.write(
        tmp_path, Sinusoid(), {"title": "t"}, {"a": {"inner_steps": 1, "minutes": 0.0}},
        {"a": Curves(scores, scores)},
    )  # fmt: skip
    found = json.loads((tmp_path / "results.json").read_text())["methods"]["a"]
    # Student's t of three degrees of freedom, 3.182, times the standard error.
    half_width = 3.182446 * np.std([1, 2, 3, 4], ddof=1) / 2
    assert found["score"]["mean"] == 2.5
    assert math.isclose(found["score"]["interval"], half_width, rel_tol=1e-6)
    assert found["scores_by_step"][2] == {"mean": None, "interval": None}
    assert "diverges" in table


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--task=chess", "sinusoid|omniglot|omniglot_small1|omniglot_small2|digits|mini_imagenet"),
        ("--inner_optimizer=newton", f"'newton': known are {', '.join(METHODS)}"),
        ("--ways=3", "sinusoid takes no --ways"),
        ("--task=mini_imagenet", "give its --data_dir"),
        ("--test_episodes=1", "test_episodes"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, flag, message):
    folder = tmp_path / "out"
    assert programs.run(program, f"--output_dir={folder}", flag) != 0
    assert message in programs.error_line(capsys)
    assert not folder.exists()


def test_damaged_and_too_few_data_are_one_line(tmp_path, capsys):
    path = tmp_path / "images_background.zip"
    data.omniglot_zip(path, "ABCD", drawings=6)
    flags = ["--task=omniglot", f"--data_dir={tmp_path}", f"--output_dir={tmp_path / 'out'}"]
    assert programs.run(program, *flags) == 1
    assert "too few for --ways=5" in programs.error_line(capsys)
    path.write_bytes(path.read_bytes()[:-100])
    assert programs.run(program, *flags) == 1
    assert f"{path} is no zip file or is damaged" in programs.error_line(capsys)


def test_help_teaches(capsys):
    assert programs.run(program, "--help") == 0
    shown = capsys.readouterr().out
    for name in [*METHODS, "sinusoid", "omniglot", "digits", "mini_imagenet", "adaptation.png"]:
        assert name in shown
