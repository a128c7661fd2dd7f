"""The training program: a checkpoint that the other programs take, and its bad input."""

import json

import pytest

import tracking_tasks
from experiments import train, training
from tests.experiments import programs
from tests.experiments.test_training import CONFIG, batches
from tests.tracking_tasks.test_trackers import make
from tracking_tasks import checkpoints


@pytest.fixture
def on_small_episodes(monkeypatch):
    """The program with the episodes and the tracker of the other tests, which are compiled."""
    monkeypatch.setattr(train, "_DEFAULTS", CONFIG)
    monkeypatch.setattr(training, "rendered_batches", lambda bank, config: batches)
    monkeypatch.setattr(train, "load_bank", lambda folder, split: _Bank())
    monkeypatch.setattr(train, "TRACKERS", {"dimp": _Small})


class _Bank:
    photos = cutouts = ()


class _Small(train.TRACKERS["dimp"]):
    """The tracker of the other tests under the same name."""

    @classmethod
    def create(cls, rule="steepest_descent", config=None, backbone=None):
        return make("dimp", rule)


def run(folder, *more):
    return programs.run(train, f"--output_dir={folder}", "--outer_steps=2", "--episodes=2", *more)


def test_the_checkpoint_loads_and_says_how_it_was_made(on_small_episodes, tmp_path):
    assert run(tmp_path / "run", "--seed=7") == 0
    path = tmp_path / "run" / "dimp.safetensors"
    metadata = checkpoints.read_metadata(path)
    provenance = json.loads(metadata["provenance"])
    assert metadata["inner_optimizer"] == "steepest_descent"
    assert provenance["training"]["seed"] == 7 and "experiments.train" in provenance["command"]
    tracker = tracking_tasks.load("dimp", checkpoint=path)
    start = train.TRACKERS["dimp"].create("steepest_descent")
    moved = abs(tracker.tracker.head.projection[...] - start.head.projection[...]).max()
    assert 0 < moved < 0.1


def test_a_folder_with_a_run_is_not_overwritten_unasked(on_small_episodes, tmp_path, capsys):
    assert run(tmp_path) == 0
    assert run(tmp_path) == 1
    assert "--resume" in programs.error_line(capsys)
    assert run(tmp_path, "--resume") == 0


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--tracker=kcf", "kcf"),
        ("--inner_optimizer=newton", "newton"),
        ("--outer_steps=0", "outer_steps"),
        ("--photos_dir=absent", "absent"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, flag, message):
    folder = tmp_path / "out"
    assert programs.run(train, f"--output_dir={folder}", flag) != 0
    assert message in programs.error_line(capsys)
    assert not folder.exists()
