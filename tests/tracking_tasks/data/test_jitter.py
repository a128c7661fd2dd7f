"""How far the crops of an episode are off, which are grey, and which count."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tracking_tasks.data.episodes import Clip, cut_episodes
from tracking_tasks.episode import EpisodeConfig

SIDE = 8.0  # of the target; a crop is four times as wide, of 32 pixels
SEEDS = jnp.arange(24, dtype=jnp.uint32)
SHIFTED, SCALED = {"shift": 1.0, "scale": 0.0}, {"shift": 0.0, "scale": 0.3}


def cut(support, query, **changes):
    """Episodes of a target at rest, whose frames show 0.9, 0.4, 0.6 and 0.2 of it."""
    jitter = {f"support_{name}": value for name, value in support.items()}
    jitter |= {f"query_{name}": value for name, value in query.items()}
    config = EpisodeConfig(
        crop_size=32, search_factor=4.0, support=2, query=2, brightness=0.0, **jitter, **changes
    )
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (4, 64, 64, 3)).astype(np.uint8)
    box = np.float32([28, 28, SIDE, SIDE])
    clip = Clip(frames, np.full((4, 2), 64), np.tile(box, (4, 1)), np.float32([0.9, 0.4, 0.6, 0.2]))
    clips = jax.tree.map(lambda leaf: np.broadcast_to(leaf, (len(SEEDS), *leaf.shape)), clip)
    return cut_episodes(SEEDS, clips, config)


def offsets(boxes):
    """How far the target is from the middle of the crop, in halves of its own side."""
    boxes = np.asarray(boxes)
    return (boxes[..., :2] + boxes[..., 2:] / 2 - 16) / (boxes[..., 2:] / 2)


def log_sizes(boxes):
    return np.log(np.asarray(boxes)[..., 2] / SIDE)


@pytest.fixture(scope="module")
def grey():
    return cut(SHIFTED, SCALED, grayscale=1.0, min_visible=0.5)


@pytest.fixture(scope="module")
def colored():
    return cut(SCALED, SHIFTED, grayscale=0.0, min_visible=0.1)


def test_each_part_is_shifted_as_far_as_its_own_constant_says(grey, colored):
    for moved, still in (
        (grey.support_boxes, grey.query_boxes),
        (colored.query_boxes, colored.support_boxes),
    ):
        np.testing.assert_allclose(offsets(still), 0, atol=1e-4)
        assert 0.8 < np.abs(offsets(moved)).max() <= 1 + 1e-4


def test_each_part_is_scaled_by_its_own_constant(grey, colored):
    for scaled, still in (
        (grey.query_boxes, grey.support_boxes),
        (colored.support_boxes, colored.query_boxes),
    ):
        np.testing.assert_allclose(log_sizes(still), 0, atol=1e-5)
        assert np.std(log_sizes(scaled)) == pytest.approx(0.3, rel=0.3)


def test_whole_episodes_are_grey_with_their_probability(grey, colored):
    spread = lambda images: np.ptp(np.asarray(images), axis=-1).max()
    assert spread(grey.support_images) == spread(grey.query_images) == 0
    assert spread(colored.support_images) > 50 and spread(colored.query_images) > 50


def test_a_frame_that_shows_too_little_of_its_target_does_not_count(grey, colored):
    np.testing.assert_array_equal(grey.support_weights[0], [1, 0])
    np.testing.assert_array_equal(grey.query_weights[0], [1, 0])
    np.testing.assert_array_equal(colored.support_weights[0], [0.5, 0.5])
    np.testing.assert_array_equal(colored.query_weights[0], [0.5, 0.5])
