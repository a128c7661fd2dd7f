"""The pool of episodes: features in place of images, every episode once a pass, kept on disk."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from basics.errors import InputError
from experiments.meta_training import training
from experiments.meta_training.feature_pool import pooled_batches
from tests.tracking_tasks.tiny import Tiny
from tracking_tasks.episode import Episode

CONFIG = training.TrainingConfig(episodes=2, seed=3)


def batches(index):
    """Two episodes, known by the widths of their boxes."""
    random = np.random.default_rng(index)
    images = lambda n: jnp.asarray(random.uniform(0, 255, (2, n, 32, 32, 3)), jnp.float32)
    boxes = jnp.full((2, 1, 4), 10.0 * index).at[1].add(1.0)
    return Episode(
        images(1), boxes, jnp.ones((2, 1)), images(2), jnp.tile(boxes, (1, 2, 1)),
        jnp.full((2, 2), 0.5), jax.random.split(jax.random.key(index), 2),
    )  # fmt: skip


def rendered_no_more(index):
    raise AssertionError("the pool is on disk")


def numbers(batch):
    return [int(width) for width in batch.support_boxes[:, 0, 2]]


def test_every_pass_meets_every_episode_once_in_another_order(tmp_path):
    pool = pooled_batches(batches, Tiny(), CONFIG, 4, tmp_path)
    passes = [
        [number for step in range(4) for number in numbers(pool(4 * n + step))] for n in (0, 1)
    ]
    assert sorted(passes[0]) == sorted(passes[1]) == [0, 1, 10, 11, 20, 21, 30, 31]
    assert passes[0] != passes[1]
    keys = [jax.random.key_data(pool(step).key).tolist() for step in (0, 4)]
    assert keys[0] != keys[1]


def test_an_episode_holds_what_the_backbone_sees_in_its_images(tmp_path):
    batch = pooled_batches(batches, Tiny(), CONFIG, 2, tmp_path)(1)
    for place, number in enumerate(numbers(batch)):
        original = batches(number // 10)
        for name in ("support_images", "query_images"):
            expected = Tiny()(getattr(original, name)[number % 10])
            for level, seen in zip(expected, getattr(batch, name), strict=True):
                assert seen.dtype == jnp.float32
                np.testing.assert_allclose(seen[place], level, atol=2e-3 * float(level.max()))
        np.testing.assert_array_equal(batch.query_boxes[place], original.query_boxes[number % 10])


def test_a_pool_on_disk_is_not_rendered_again_and_gives_the_same(tmp_path):
    first = pooled_batches(batches, Tiny(), CONFIG, 3, tmp_path)(1)
    second = pooled_batches(rendered_no_more, Tiny(), CONFIG, 3, tmp_path)(1)
    for one, other in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        assert (one == other).all()


def test_a_damaged_pool_is_named(tmp_path):
    pooled_batches(batches, Tiny(), CONFIG, 2, tmp_path)
    path = tmp_path / "00001.safetensors"
    whole = path.read_bytes()
    for damaged in (whole[:40], b"", batch_of_another_size(tmp_path / "other")):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"00001.*damaged or of another run"):
            pooled_batches(rendered_no_more, Tiny(), CONFIG, 2, tmp_path)


def batch_of_another_size(folder):
    three = lambda index: jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf[:1]]), batches(0))
    pooled_batches(three, Tiny(), dataclasses.replace(CONFIG, episodes=3), 1, folder)
    return (folder / "00000.safetensors").read_bytes()
