"""The training program: a checkpoint that the other programs take, and its bad input."""

import json

import jax
import numpy as np
import pytest

import tracking_tasks
from experiments import train
from experiments.meta_training import training, training_data
from tests.experiments import programs
from tests.experiments.meta_training.small_run import CONFIG, batches
from tests.tracking_tasks import tiny
from tests.tracking_tasks.striped import video
from tracking_tasks import checkpoints
from tracking_tasks.data import packed
from tracking_tasks.data.sequences import Sequence
from tracking_tasks.episode import EpisodeConfig


@pytest.fixture
def on_small_episodes(monkeypatch):
    """The program with the episodes and the tracker of the other tests, which are compiled."""
    cut_alike = EpisodeConfig(crop_size=tiny.CONFIG.crop_size, support=2, query=2)
    monkeypatch.setattr(train, "_DEFAULTS", CONFIG)
    monkeypatch.setattr(train.TRACKERS["dimp"], "episode_config", cut_alike)
    monkeypatch.setattr(training, "rendered_batches", rendered)
    monkeypatch.setattr(training_data, "load_bank", lambda folder, split: _Bank())
    monkeypatch.setattr(train, "TRACKERS", {"dimp": _Small})


def rendered(bank, config):
    return lambda index: jax.tree.map(lambda leaf: leaf[: config.episodes], batches(index))


class _Bank:
    photos = cutouts = ()


class _Small(train.TRACKERS["dimp"]):
    """The tracker of the other tests under the same name."""

    @classmethod
    def create(cls, rule="steepest_descent", config=None, backbone=None):
        return tiny.make()


def run(folder, *more):
    return programs.run(train, f"--output_dir={folder}", "--outer_steps=2", "--episodes=2", *more)


def test_the_checkpoint_loads_and_says_how_it_was_made(on_small_episodes, tmp_path):
    assert run(tmp_path / "run", "--seed=7") == 0
    path = tmp_path / "run" / "dimp.safetensors"
    metadata = checkpoints.read_metadata(path)
    provenance = json.loads(metadata["provenance"])
    assert metadata["inner_optimizer"] == "steepest_descent"
    assert provenance["training"]["seed"] == 7 and "experiments.train" in provenance["command"]
    tracker = tracking_tasks.load("dimp", backbone=tiny.Tiny(), checkpoint=path)
    start = tiny.make()
    moved = abs(tracker.tracker.head.projection[...] - start.head.projection[...]).max()
    assert 0 < moved < 0.1


def test_a_folder_with_a_run_is_not_overwritten_unasked(on_small_episodes, tmp_path, capsys):
    assert run(tmp_path) == 0
    assert run(tmp_path) == 1
    assert "--resume" in programs.error_line(capsys)
    assert run(tmp_path, "--resume", "--seed=1") == 1
    assert "was made with other training" in programs.error_line(capsys)
    assert run(tmp_path, "--resume") == 0


@pytest.mark.full
def test_a_pooled_run_goes_on_from_a_checkpoint_and_leaves_frozen_parts(
    on_small_episodes, tmp_path
):
    assert run(tmp_path / "first", "--seed=7") == 0
    first = tmp_path / "first" / "dimp.safetensors"
    more = (f"--start_from={first}", "--frozen=head,loss.label", "--pool=1")
    assert run(tmp_path / "second", *more) == 0
    assert len(list((tmp_path / "second" / "pool").iterdir())) == 1
    paths = (first, tmp_path / "second" / "dimp.safetensors")
    before, after = (checkpoints.load(path, "dimp", backbone=tiny.Tiny())[0] for path in paths)
    np.testing.assert_array_equal(after.head.projection[...], before.head.projection[...])
    np.testing.assert_array_equal(after.loss.label[...], before.loss.label[...])
    assert abs(after.loss.weight[...] - before.loss.weight[...]).max() > 0


@pytest.fixture(scope="module")
def packed_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed") / "striped"
    images, boxes = video()
    packed.pack([Sequence("square", tuple(images), boxes)], folder, name="striped")
    return folder


@pytest.mark.parametrize(
    ("rendered_weight", "packed_episodes", "photographs"),
    [pytest.param("0", 2, None, marks=pytest.mark.full), ("0.5", 1, 0)],
)
def test_packed_data_take_the_place_of_rendered_videos_or_join_them(
    on_small_episodes,
    packed_folder,
    tmp_path,
    monkeypatch,
    rendered_weight,
    packed_episodes,
    photographs,
):
    seen = []

    def one_batch(tracker, batches, config, folder, resume):
        seen.append(batches(0))
        return tracker

    monkeypatch.setattr(training, "train", one_batch)
    datasets = f"--datasets={packed_folder}:0.25,{packed_folder}:0.25"
    assert run(tmp_path, datasets, f"--rendered_weight={rendered_weight}") == 0
    expected = batches(0)
    shapes = lambda episodes: [leaf.shape for leaf in jax.tree.leaves(episodes)]
    assert shapes(seen[0]) == shapes(expected)
    rendered_first = bool((seen[0].query_images[0] == expected.query_images[0]).all())
    assert rendered_first == (photographs is not None)
    metadata = checkpoints.read_metadata(tmp_path / "dimp.safetensors")
    provenance = json.loads(metadata["provenance"])
    assert provenance["packed_episodes"] == packed_episodes
    assert provenance.get("photographs") == photographs
    one = {"name": "striped", "sequences": 1, "frames": 4, "weight": 0.25}
    assert provenance["datasets"] == [one, one]


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--tracker=kcf", "kcf"),
        ("--inner_optimizer=newton", "newton"),
        ("--outer_steps=0", "outer_steps"),
        ("--photos_dir=absent", "absent"),
        ("--datasets=absent:2", "absent is no packed data set"),
        ("--datasets=absent:-1", "positive weight"),
        ("--datasets=absent:heavy", "positive weight"),
        ("--rendered_weight=0", "give --datasets"),
        ("--pool=2 --fine_tune", "would change"),
        ("--frozen=head,haed", "haed: dimp has no such part"),
        ("--start_from=absent", "absent: no such file"),
        ("--backbone=resnet18", "resnet18-f37072fd.pth"),
        ("--backbone=vgg", "vgg"),
        ("--backbone_weights=x.pth", "--backbone too"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, flag, message):
    folder = tmp_path / "out"
    assert programs.run(train, f"--output_dir={folder}", *flag.split()) != 0
    assert message in programs.error_line(capsys)
    assert not folder.exists()
