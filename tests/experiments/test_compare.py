"""The main job at its smallest size, and its bad input."""

import json

import jax
import numpy as np
import pytest
from PIL import Image

import metaopt
import tracking_tasks
from experiments import compare
from experiments.analysis.statistics import mean_and_interval
from experiments.matrix import matrix_flags
from experiments.meta_training import runner, training
from models import EfficientNetLite0
from tests.experiments import programs
from tests.experiments.meta_training.small_run import batches
from tests.tracking_tasks.striped import video
from tests.tracking_tasks.tiny import Tiny
from tracking_tasks.data.sequences import Sequence
from tracking_tasks.evaluation import success_auc
from tracking_tasks.trackers import TRACKERS


def assert_auc_is_that_of_its_boxes(cell):
    """The first sequence's, whose boxes are kept; the cell's is the mean over sequences."""
    each = [scores["auc"] for scores in cell["sequences"].values()]
    first = success_auc(np.float32(cell["boxes"]), np.float32(cell["true_boxes"]))
    assert each[0] == pytest.approx(first) and cell["auc"] == pytest.approx(np.mean(each))


RULES = {
    "two rules": ("none", "steepest_descent"),
    "default": ("none", "learned_rates", "steepest_descent"),
}


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=pytest.mark.full) for name in RULES]
)
def rules(request):
    return RULES[request.param]


def flags(rules, folder):
    """Rules that are the default are not named."""
    named = [] if rules == RULES["default"] else [f"--inner_optimizers={','.join(rules)}"]
    return ["--preset=smoke", "--seeds=2", *named, f"--output_dir={folder}"]


@pytest.fixture(scope="module")
def finished(rules, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EfficientNetLite0, "pretrained", lambda *_: Tiny())
        assert not programs.run(compare, *flags(rules, folder))
    return folder


def test_results_hold_every_cell_and_finite_means(finished, rules):
    results = json.loads((finished / "results.json").read_text())
    cells = {(cell["inner_optimizer"], cell["seed"]) for cell in results["cells"]}
    assert cells == {(rule, seed) for rule in rules for seed in (0, 1)}
    for rule in rules:
        for score in ("auc", "precision20", "query_loss"):
            values = [c[score] for c in results["cells"] if c["inner_optimizer"] == rule]
            assert results["summary"][rule][score]["mean"] == pytest.approx(sum(values) / 2)
            assert results["summary"][rule][score]["interval"] is not None
    assert results["summary"]["steepest_descent"]["auc_difference"]["mean"] == 0
    steps = results["configuration"]["sizes"]["adaptation_steps"]
    for cell in results["cells"]:
        assert len(cell["query_losses"]) == steps + 1
        assert_auc_is_that_of_its_boxes(cell)


def test_the_rule_without_a_step_stays_where_it_starts(finished):
    results = json.loads((finished / "results.json").read_text())
    for cell in results["cells"]:
        curve = cell["inner_losses"]
        if cell["inner_optimizer"] == "none":
            assert max(curve) == pytest.approx(min(curve), rel=1e-5)
        if cell["inner_optimizer"] == "steepest_descent":
            assert curve[-1] < curve[0]


@pytest.mark.parametrize("name", ["inner_loss", "success", "learned_functions"])
def test_plots_are_pictures(finished, name):
    with Image.open(finished / f"{name}.png") as picture:
        assert picture.width > 500 and len(picture.getcolors(1 << 24)) > 20


def test_the_table_names_every_rule(finished, rules):
    table = (finished / "table.txt").read_text()
    assert all(rule in table for rule in rules)


def test_resume_redoes_nothing_and_gives_the_same_results(finished, rules, monkeypatch):
    before = (finished / "results.json").read_text()
    monkeypatch.setattr(training, "train", None)  # would fail if it were called
    programs.run(compare, *flags(rules, finished), "--resume")
    assert (finished / "results.json").read_text() == before


def train(tracker, _, config, *rest):
    """In the place of a training of minutes: the loss's functions rise by the seed and one."""
    return tracker.replace(loss=jax.tree.map(lambda leaf: leaf + config.seed + 1, tracker.loss))


def test_the_smallest_comparison_whole(tmp_path, monkeypatch):
    images, boxes = video()
    sequence = Sequence("striped", tuple(images), boxes)
    monkeypatch.setattr(EfficientNetLite0, "pretrained", lambda *_: Tiny())
    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr(training, "rendered_once", lambda *_: None)
    monkeypatch.setattr(training, "rendered_batches", lambda *_: batches)
    for module in (runner, matrix_flags):
        monkeypatch.setattr(module, "load_bank", lambda *_: None)
    monkeypatch.setattr(runner, "rendered_sequences", lambda *_: [sequence])
    monkeypatch.setattr(tracking_tasks, "OnlineTracker", lambda *_: programs.Follower())
    rules = "--inner_optimizers=none,steepest_descent", "--seeds=2"
    assert not programs.run(compare, "--preset=smoke", *rules, f"--output_dir={tmp_path}")
    results = json.loads((tmp_path / "results.json").read_text())
    cells = {(cell["inner_optimizer"], cell["seed"]): cell for cell in results["cells"]}
    assert set(cells) == {(rule, seed) for rule in ("none", "steepest_descent") for seed in (0, 1)}
    sizes = results["configuration"]["sizes"]
    for (rule, seed), cell in cells.items():
        assert_auc_is_that_of_its_boxes(cell)
        inner, query = (np.array(cell[name]) for name in ("inner_losses", "query_losses"))
        assert len(inner) == len(query) == sizes["adaptation_steps"] + 1
        assert cell["query_loss"] == query[cell["train_steps"]]
        assert (inner == inner[0]).all() if rule == "none" else inner[-1] < 0.9 * inner[0]
        label = cell["learned_functions"]["label"]
        change = np.subtract(label["learned"], label["initial"])
        np.testing.assert_allclose(change, seed + 1, rtol=1e-4)
    for rule, row in results["summary"].items():
        values = [cells[rule, seed]["query_loss"] for seed in (0, 1)]
        assert row["query_loss"]["mean"] == pytest.approx(np.mean(values))
        assert row["auc_difference"] == {"mean": 0, "interval": 0}
    table = (tmp_path / "table.txt").read_text()
    assert "auc - steepest descent" in table and "over 2 seed(s)" in table


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--inner_optimizers=newton", "newton"),
        ("--inner_optimizers=", "known are"),
        ("--tracker=kcf", "kcf"),
        ("--dataset_dir=absent", "absent"),
        ("--photos_dir=absent", "absent"),
        ("--preset=tiny", "tiny"),
    ],
)
def test_bad_input_is_one_line(capsys, tmp_path, flag, message):
    folder = tmp_path / "out"
    assert programs.run(compare, "--preset=smoke", f"--output_dir={folder}", flag) != 0
    assert message in programs.error_line(capsys)
    assert not folder.exists()


def test_mean_and_interval_by_students_t():
    mean, half = mean_and_interval([1.0, 2.0, 3.0])
    assert mean == 2.0 and half == pytest.approx(4.302652730 / 3**0.5)
    assert mean_and_interval([1.0])[1] == float("inf")


@pytest.mark.full
def test_a_tracker_whose_episodes_are_mixed_is_compared(tmp_path, monkeypatch):
    monkeypatch.setattr(EfficientNetLite0, "pretrained", lambda *_: Tiny())
    smallest = "--preset=smoke", "--inner_optimizers=none", f"--output_dir={tmp_path}"
    assert not programs.run(compare, "--tracker=meta_rtt", *smallest)
    (cell,) = json.loads((tmp_path / "results.json").read_text())["cells"]
    assert_auc_is_that_of_its_boxes(cell)
    assert np.isfinite(cell["query_losses"]).all()
    lines = (tmp_path / "meta_rtt/training/none-0/metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["triplet_loss"] > 0  # by the other episode's target


@pytest.mark.slow
@pytest.mark.parametrize("tracker", TRACKERS)
def test_every_rule_finishes_in_every_tracker(tracker, tmp_path, monkeypatch):
    monkeypatch.setattr(EfficientNetLite0, "pretrained", lambda *_: Tiny())
    all_rules = "--preset=smoke", "--inner_optimizers=all", f"--output_dir={tmp_path}"
    assert not programs.run(compare, f"--tracker={tracker}", *all_rules)
    cells = json.loads((tmp_path / "results.json").read_text())["cells"]
    assert {cell["inner_optimizer"] for cell in cells} == set(metaopt.optimizers.names())
    for cell in cells:
        assert_auc_is_that_of_its_boxes(cell)
        assert np.isfinite(cell["inner_losses"] + cell["query_losses"]).all()
