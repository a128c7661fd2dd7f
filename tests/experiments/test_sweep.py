import functools
import json

import numpy as np
import pytest
from PIL import Image

from experiments import sweep
from experiments.analysis import statistics
from experiments.matrix import matrix_flags, trial_runner
from tests.experiments import programs
from tracking_tasks.trackers import TRACKERS

SKILL = {"adam": 0.5, "steepest_descent": 0.6, "none": 0.3}


def fake_trial(_, trial, resume=False):
    """A trial whose rules differ by a constant, and whose sequences differ too."""
    if trial.inner_optimizer == "lstm":
        raise RuntimeError("diverged")
    noise = np.random.default_rng(trial.seed).random(6) / 100
    auc = SKILL[trial.inner_optimizer] + noise + np.arange(6) / 50
    return {
        "tracker": trial.tracker,
        "inner_optimizer": trial.inner_optimizer,
        "seed": trial.seed,
        "auc": auc.mean(),
        "precision20": 0.9,
        "query_loss": 0.1,
        "update_ms": 3.0,
        "sequences": {f"video-{index}": {"auc": value} for index, value in enumerate(auc)},
    }


load_bank = functools.cache(matrix_flags.load_bank)


@pytest.fixture(autouse=True)
def _photographs_are_read_once(monkeypatch):
    monkeypatch.setattr(matrix_flags, "load_bank", load_bank)


@pytest.fixture
def run(tmp_path, monkeypatch):
    def run(*flags):
        return programs.run(
            sweep, "--preset=smoke", "--seeds=2", f"--output_dir={tmp_path / 'out'}", *flags
        )

    monkeypatch.setattr(trial_runner.TrialRunner, "run", fake_trial)
    return run


@pytest.mark.figures
def test_the_matrix_has_every_cell_and_its_statistics(run, tmp_path, capsys):
    assert run("--inner_optimizers=adam,steepest_descent,none") == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    trackers = sorted(TRACKERS)
    keys = [(c["tracker"], c["seed"], c["inner_optimizer"]) for c in results["cells"]]
    assert keys == [(t, s, r) for t in trackers for s in (0, 1) for r in SKILL]
    each = results["summary"]["dimp"]
    scores = np.array(
        [
            [v["auc"] for v in c["sequences"].values()]
            for c in results["cells"]
            if (c["tracker"], c["inner_optimizer"]) == ("dimp", "adam")
        ]
    )
    adam = each["rules"]["adam"]
    assert (adam["auc"], adam["low"], adam["high"]) == pytest.approx(statistics.bootstrap(scores))
    assert each["ranking"]["ranks"] == {"steepest_descent": 1.0, "adam": 2.0, "none": 3.0}
    pair = next(p for p in each["pairs"] if (p["a"], p["b"]) == ("adam", "none"))
    assert pair["auc_difference"] == pytest.approx(0.2)
    assert pair["p"] == pytest.approx(3 * 2 / 2**6)  # Wilcoxon of six, Holm of three
    table = capsys.readouterr().out
    assert all(name in table for name in [*trackers, *SKILL, "critical difference", "Equal outer"])
    with Image.open(tmp_path / "out" / "matrix.png") as picture:
        assert picture.width > 300


def test_a_failing_cell_is_reported_and_the_others_are_there(run, tmp_path, capsys):
    assert run("--trackers=dimp", "--inner_optimizers=adam,lstm") != 0
    assert "dimp, lstm, seed 0 failed" in capsys.readouterr().err
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert len(results["cells"]) == 2
    assert "diverged" in results["failures"]["dimp, lstm, seed 1"]


def test_a_folder_is_neither_overwritten_nor_mixed(run, tmp_path, capsys):
    one = "--trackers=dimp", "--inner_optimizers=adam"
    assert run(*one) == 0
    assert run(*one) == 1
    assert "--resume" in programs.error_line(capsys)
    assert run(*one, "--resume", "--dimp.memory_size=20") == 1
    assert "made with other trackers" in programs.error_line(capsys)
    assert run(*one, "--resume") == 0


def test_a_killed_sweep_goes_on_to_the_same_results(tmp_path, monkeypatch):
    seen, killed_at = [], 5

    def saved_trial(runner, trial, resume=False):
        seen.append(trial)
        if len(seen) == killed_at:
            raise KeyboardInterrupt
        result = fake_trial(runner, trial)
        trial.save(runner._conditions.folder, result)
        return result

    monkeypatch.setattr(trial_runner.TrialRunner, "run", saved_trial)
    rules = "--preset=smoke", "--seeds=2", "--inner_optimizers=adam,steepest_descent,none"
    assert programs.run(sweep, *rules, f"--output_dir={tmp_path / 'killed'}") == 130
    assert not (tmp_path / "killed" / "results.json").exists()
    assert programs.run(sweep, *rules, f"--output_dir={tmp_path / 'killed'}", "--resume") == 0
    assert len(seen) == len(set(seen)) + 1  # only the cell that was cut short is done again
    killed_at = None
    assert programs.run(sweep, *rules, f"--output_dir={tmp_path / 'whole'}") == 0
    whole, resumed = (
        (tmp_path / name / "results.json").read_text() for name in ("whole", "killed")
    )
    assert resumed == whole


def test_a_flag_file_repeats_a_run(run, tmp_path):
    assert run("--trackers=dimp", "--inner_optimizers=adam", "--dimp.scale_lr=0.5") == 0
    again = tmp_path / "again"
    flags = f"--flagfile={tmp_path / 'out' / 'flags.txt'}", f"--output_dir={again}"
    assert programs.run(sweep, *flags) == 0
    before, now = (
        json.loads((folder / "run.json").read_text()) for folder in (tmp_path / "out", again)
    )
    assert before["configuration"] == now["configuration"]
    assert now["configuration"]["trackers"]["dimp"]["scale_lr"] == 0.5


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--trackers=kcf", "unknown tracker 'kcf': known are"),
        ("--inner_optimizers=newton", "unknown inner optimizer 'newton'"),
        ("--dimp.memory_size=many", "must be int"),
        ("--photos_dir=absent", "absent"),
    ],
)
def test_bad_input_is_one_line(run, tmp_path, capsys, flag, message):
    assert run(flag) != 0
    assert message in programs.error_line(capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_two_cells_on_ray_are_those_of_one_process(tmp_path):
    """About two minutes."""
    ray = pytest.importorskip("ray")
    cells = "--preset=smoke", "--trackers=dimp", "--inner_optimizers=none,steepest_descent"
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        assert programs.run(sweep, *cells, "--executor=ray", f"--output_dir={tmp_path / 'a'}") == 0
    finally:
        ray.shutdown()
    assert programs.run(sweep, *cells, f"--output_dir={tmp_path / 'b'}") == 0
    one, other = (
        json.loads((tmp_path / name / "results.json").read_text())["cells"] for name in "ab"
    )
    assert len(one) == len(other) == 2
    for a, b in zip(one, other, strict=True):
        assert (a["auc"], a["query_losses"]) == (b["auc"], b["query_losses"])
