"""Episodes and rendered sequences: pure in their key, boxes on the target, weights that add up."""

import jax
import numpy as np
import pytest

from tracking_tasks.data.episodes import EpisodeConfig, sample_episodes
from tracking_tasks.data.photos import load_bank
from tracking_tasks.data.rendered import rendered_sequences
from tracking_tasks.data.renderer import RendererConfig

EPISODE = EpisodeConfig(crop_size=64)
RENDERER = RendererConfig(side=96, target_size=(0.15, 0.25), distractors=1, subframes=1)


def keys(seed):
    return jax.random.split(jax.random.key(seed), 6)


@pytest.fixture(scope="module")
def bank():
    return load_bank(None, "test")


@pytest.fixture(scope="module")
def episodes(bank):
    return sample_episodes(keys(3), bank, EPISODE, RENDERER)


def test_the_same_key_gives_the_same_episodes_and_another_key_others(bank, episodes):
    again = sample_episodes(keys(3), bank, EPISODE, RENDERER)
    for left, right in zip(jax.tree.leaves(episodes), jax.tree.leaves(again), strict=True):
        assert (left == right).all()
    assert len(np.unique(jax.random.key_data(episodes.key), axis=0)) == 6
    other = sample_episodes(keys(4), bank, EPISODE, RENDERER)
    assert np.abs(other.query_images - episodes.query_images).mean() > 1


def test_crops_hold_the_target_at_about_its_nominal_size(episodes):
    for boxes in (episodes.support_boxes, episodes.query_boxes):
        centers = boxes[..., :2] + boxes[..., 2:] / 2
        assert (centers > 0).all() and (centers < EPISODE.crop_size).all()
        area = np.log(np.prod(boxes[..., 2:], -1)) / 2
        nominal = np.log(EPISODE.crop_size / EPISODE.search_factor)
        # The spread is that of the random scale, 0.25 for the query.
        assert np.abs(area - nominal).max() < 4.5 * EPISODE.query_scale


def test_weights_sum_to_one_or_to_nothing(episodes):
    for weights in (episodes.support_weights, episodes.query_weights):
        totals = np.asarray(weights.sum(-1))
        assert np.all(np.isclose(totals, 1) | (totals == 0)) and totals.max() > 0
        assert (weights >= 0).all()


def test_images_are_pixels(episodes):
    for images in (episodes.support_images, episodes.query_images):
        assert images.min() >= 0 and images.max() <= 255 and images.std() > 10


def test_rendered_sequences_start_with_a_visible_target(bank):
    sequences = rendered_sequences(jax.random.key(0), bank, RENDERER, count=2, frames=3)
    assert [len(sequence) for sequence in sequences] == [3, 3]
    assert len({sequence.name for sequence in sequences}) == 2
    for sequence in sequences:
        assert sequence.frame(0).shape == (96, 96, 3) and sequence.frame(0).dtype == np.uint8
        assert (sequence.boxes[0, 2:] > 0).all()
