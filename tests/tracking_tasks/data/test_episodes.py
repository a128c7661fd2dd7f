"""Episodes and rendered sequences: pure in their key, boxes on the target, weights that add up."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tracking_tasks.data import episodes as episodes_module
from tracking_tasks.data.episodes import Clip, cut_episodes, sample_episodes
from tracking_tasks.data.photos import load_bank
from tracking_tasks.data.rendered import rendered_sequences
from tracking_tasks.data.renderer import RendererConfig, Video
from tracking_tasks.episode import DegradationConfig, EpisodeConfig

EPISODE = EpisodeConfig(crop_size=64)
RENDERER = RendererConfig(side=96, target_size=(0.15, 0.25), distractors=1, subframes=1)


def keys(seed):
    return jax.random.split(jax.random.key(seed), 6)


# Of videos that are drawn, not rendered: a program is compiled for each renderer's constants.
DRAWN = dataclasses.replace(RENDERER, side=80)


def draw(key, bank, renderer, times):
    """A square that moves over a texture; the renderer takes seconds to compile."""
    start = jax.random.uniform(key, (2,), minval=10.0, maxval=40.0)
    corners = start + jnp.stack([times / 10, jnp.zeros(len(times))], -1)
    texture = jax.random.randint(key, (80, 80, 3), 60, 200)
    inside = (jnp.arange(80) >= corners[..., None]) & (jnp.arange(80) < corners[..., None] + 18)
    target = inside[:, 0, None, :, None] & inside[:, 1, :, None, None]
    return Video(
        frames=jnp.where(target, 250, texture).astype(jnp.uint8),
        boxes=jnp.concatenate([corners, jnp.full((len(times), 2), 18.0)], -1),
        visible=jax.random.uniform(key, (len(times),)),
        attributes={},
    )


@pytest.fixture(scope="module")
def bank():
    return load_bank(None, "test")


@pytest.fixture(scope="module", params=[DRAWN, pytest.param(RENDERER, marks=pytest.mark.full)])
def sample(request, bank):
    """The episodes of six keys."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param is DRAWN:
            patch.setattr(episodes_module, "render", draw)
        yield lambda keys: sample_episodes(keys, bank, EPISODE, request.param)


@pytest.fixture(scope="module")
def episodes(sample):
    return sample(keys(3))


def test_the_same_key_gives_the_same_episodes_and_another_key_others(sample, episodes):
    again = sample(keys(3))
    for left, right in zip(jax.tree.leaves(episodes), jax.tree.leaves(again), strict=True):
        assert (left == right).all()
    assert len(np.unique(jax.random.key_data(episodes.key), axis=0)) == 6
    other = sample(keys(4))
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


@pytest.mark.full
def test_rendered_sequences_start_with_a_visible_target(bank):
    sequences = rendered_sequences(jax.random.key(0), bank, RENDERER, count=2, frames=3)
    assert [len(sequence) for sequence in sequences] == [3, 3]
    assert len({sequence.name for sequence in sequences}) == 2
    for sequence in sequences:
        assert sequence.frame(0).shape == (96, 96, 3) and sequence.frame(0).dtype == np.uint8
        assert (sequence.boxes[0, 2:] > 0).all()


def clip(frames=4, side=40):
    """A texture that stands still, and a target off its middle."""
    texture = np.random.default_rng(0).integers(100, 200, (side, side, 3), np.uint8)
    boxes = np.broadcast_to(np.float32([12, 16, 8, 6]), (frames, 4))
    extents = np.full((frames, 2), side, np.int32)
    return Clip(np.broadcast_to(texture, (frames, *texture.shape)), extents, boxes, np.ones(frames))


CUT = EpisodeConfig(
    crop_size=32, support=2, query=2, brightness=0.0, grayscale=0.0, search_factor=2.0
)


def cut(seeds=(5,), **changes):
    clips = jax.tree.map(lambda leaf: np.stack([leaf] * len(seeds)), clip())
    return cut_episodes(np.uint32(seeds), clips, dataclasses.replace(CUT, **changes))


def test_a_mirrored_episode_has_left_and_right_swapped():
    plain, mirrored = cut(), cut(mirrored=1.0)
    np.testing.assert_array_equal(mirrored.query_images, plain.query_images[..., ::-1, :])
    x, y, width, height = np.moveaxis(plain.support_boxes, -1, 0)
    expected = np.stack([32 - x - width, y, width, height], -1)
    np.testing.assert_allclose(mirrored.support_boxes, expected, atol=1e-5)


BAD = DegradationConfig(
    **dict.fromkeys(("other", "dark", "gamma", "haze", "tint", "grey"), 0.0),
    **dict.fromkeys(("blur", "motion", "noise", "step"), 0.0),
    **dict.fromkeys(("share", "each", "shrink"), 1.0),
)


@pytest.mark.parametrize("other", [pytest.param(0.0, marks=pytest.mark.full), 1.0])
def test_frames_are_degraded_alike_unless_the_query_has_its_own_way(other):
    plain, dark = cut(), cut(degradation=dataclasses.replace(BAD, dark=2.0, other=other))
    shares = lambda one, two: np.asarray(one / two).mean((-3, -2, -1))[0]
    support = shares(dark.support_images, plain.support_images)
    query = shares(dark.query_images, plain.query_images)
    np.testing.assert_allclose(support, support[0], rtol=0.01)
    np.testing.assert_allclose(query, query[0], rtol=0.01)
    assert np.exp(-2.0) < support[0] < 0.95
    assert (abs(np.log(query[0] / support[0])) < 0.01) == (other == 0.0)


@pytest.mark.full
def test_motion_blur_changes_from_frame_to_frame():
    seeds = tuple(range(8))
    plain, shaken = cut(seeds), cut(seeds, degradation=dataclasses.replace(BAD, motion=20.0))
    detail = lambda episodes: np.asarray(episodes.query_images).std((-3, -2, -1))
    left = detail(shaken) / detail(plain)
    assert np.abs(np.diff(left)).max() > 0.3
