"""Batches from packed data: pure in the step, shared out among processes, joined and resumed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import metaopt
from basics.errors import InputError
from experiments.meta_training import packed_batches, training, training_data
from tests.experiments.killed_program import Linear
from tracking_tasks.data import packed, sampling
from tracking_tasks.data.episodes import EpisodeConfig
from tracking_tasks.data.sequences import Sequence

# Boxes in such small crops are a fraction of a pixel: numbers that the stand-in can learn from.
CONFIG = training.TrainingConfig(
    outer_steps=6,
    episodes=4,
    save_every=2,
    log_every=1,
    learning_rate=0.1,
    episode=EpisodeConfig(crop_size=2, support=1, query=1),
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed") / "noise"
    generator = np.random.default_rng(0)
    videos = []
    for index in range(3):
        frames = tuple(generator.integers(0, 255, (20, 30, 3), np.uint8) for _ in range(6))
        boxes = generator.uniform(4, 10, (6, 4)).astype(np.float32)
        videos.append(Sequence(str(index), frames, boxes))
    packed.pack(videos, folder, name="noise")
    return packed.PackedDataset(folder)


def make(dataset):
    return packed_batches.packed_batches([dataset], [1.0], CONFIG)


def assert_same(left, right):
    for one, other in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        assert (one == other).all()


def test_a_batch_is_a_function_of_the_step(dataset):
    batches = make(dataset)
    inorder = [batches(index) for index in range(4)]
    assert inorder[0].support_images.shape == (4, 1, 2, 2, 3)
    assert np.abs(inorder[0].support_images - inorder[1].support_images).max() > 1
    assert_same(make(dataset)(2), inorder[2])
    for index in (1, 3, 0, 0):
        assert_same(batches(index), inorder[index])


@pytest.mark.parametrize("processes", [2, 4])
def test_the_shares_of_processes_are_disjoint_and_together_the_whole(dataset, processes):
    clips = sampling.clips([dataset], [1.0], CONFIG.episode, seed=0)

    def seeds(process, count):
        share = packed_batches.process_share(clips, 4, process, count)
        return [{int(seed) for seed in next(share)[0]} for _ in range(5)]

    shares = [seeds(process, processes) for process in range(processes)]
    for whole, *parts in zip(seeds(0, 1), *shares, strict=True):
        assert len(whole) == 4 and set.union(*parts) == whole
        assert sum(map(len, parts)) == 4


@pytest.mark.full
def test_joined_batches_hold_the_episodes_of_all(dataset):
    recorded, later = make(dataset), make(dataset)
    joined = packed_batches.joined_batches([recorded, lambda index: later(index + 3)])(1)
    expected = jax.tree.map(lambda *rows: jnp.concatenate(rows), recorded(1), later(4))
    assert_same(joined, expected)


@pytest.mark.full
def test_a_training_that_was_stopped_and_resumed_ends_bit_for_bit_the_same(dataset, tmp_path):
    rule = metaopt.optimizers.make("learned_rates", jnp.zeros(2), steps=2, rate=0.05)
    tracker = Linear(config=None, backbone=None, optimizer=rule, start=jnp.array([0.3, -0.4]))
    whole = training.train(tracker, make(dataset), CONFIG)

    class Killed(Exception):
        pass

    for stop in (1, 3):
        batches = make(dataset)

        def interrupted(index, batches=batches, stop=stop):
            if index == stop:
                raise Killed
            return batches(index)

        with pytest.raises(Killed):
            training.train(tracker, interrupted, CONFIG, tmp_path, resume=True)
    resumed = training.train(tracker, make(dataset), CONFIG, tmp_path, resume=True)
    assert_same(resumed, whole)
    assert np.abs(resumed.start - tracker.start).max() > 0.01


@pytest.mark.parametrize(
    ("episodes", "rendered", "packed", "devices", "expected"),
    [
        (8, 1, 1, 1, (4, 4)),
        (8, 0.5, 1.5, 1, (2, 6)),
        (8, 0, 3, 4, (0, 8)),
        (16, 1, 2, 4, (4, 12)),
        (10, 1, 2, 1, (3, 7)),
    ],
)
def test_episodes_are_divided_by_weight(episodes, rendered, packed, devices, expected):
    assert training_data.divide(episodes, rendered, packed, devices) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((8, 0.1, 10, 1), "too few for a share of 0.0099 rendered"),
        ((8, 100, 1, 1), "too few for a share of 0.99 rendered"),
        ((4, 1, 1, 4), "too few"),
        ((6, 1, 1, 4), "do not divide among 4 devices"),
    ],
)
def test_episodes_that_cannot_be_divided_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        training_data.divide(*arguments)
