"""What is ROAM's own: its clips, the truncation of its outer gradient, and its samples."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tracking_tasks
from basics.errors import InputError
from tests.tracking_tasks.striped import frame, video
from tests.tracking_tasks.trackers.small import SMALL, episode, make
from tracking_tasks import boxes as boxes_lib
from tracking_tasks.data.episodes import Clip, cut_episodes
from tracking_tasks.memory import RecentSamples
from tracking_tasks.trackers.roam import clips
from tracking_tasks.trackers.roam import model as resizable
from tracking_tasks.trackers.roam.config import ROAMConfig
from tracking_tasks.trackers.roam.model import ResizableOutputs, ResizableSamples
from tracking_tasks.trackers.roam.tracker import ROAM

init = jax.jit(lambda tracker, frame, box: tracker.init(frame, box))
step = jax.jit(lambda tracker, state, frame: tracker.step(state, frame))
update = jax.jit(lambda tracker, state: tracker.update(state))
cut = jax.jit(lambda tracker, episode: tracker.clip(episode))
random_frames = jax.jit(clips.random_frames, static_argnums=2)


def test_a_clip_shows_the_first_frame_stretched_and_then_the_frames_in_order():
    config = dataclasses.replace(make("roam", "none", stand_in=True).episode_config, crop_size=32)
    config = dataclasses.replace(
        config, views=((1.0, 1.0), (1.2, 0.8)), query_shift=0.0, query_scale=0.0, query_stretch=0.0
    )
    grey = np.arange(3, dtype=np.uint8) * 50 + 10
    frames = np.broadcast_to(grey[:, None, None, None], (3, 40, 40, 3))
    boxes = np.tile(np.float32([10, 12, 8, 8]), (3, 1))
    clip = Clip(frames, np.full((3, 2), 40), boxes, np.ones(3, np.float32))
    one = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], clip)
    cut = cut_episodes(jnp.zeros(1, jnp.uint32), one, dataclasses.replace(config, brightness=0.0))
    side = 32 / 5  # of the target in the crop
    sizes = np.outer([1.0, 1.0], [side, side]) * np.array(config.views)
    np.testing.assert_allclose(cut.support_boxes[0, :, 2:], sizes, rtol=1e-5)
    centers = cut.support_boxes[..., :2] + cut.support_boxes[..., 2:] / 2
    np.testing.assert_allclose(centers, 16, rtol=1e-5)
    np.testing.assert_allclose(cut.query_images.mean((2, 3, 4)), [grey[1:]], rtol=1e-4)


def test_a_future_frame_is_shaped_by_what_was_known_before_it():
    tracker = make("roam", "none", stand_in=True)
    clip = cut(tracker, episode("roam"))
    future = random_frames(jax.random.key(0), clip, 1)
    np.testing.assert_array_equal(future.target[0], clip.first.target)
    np.testing.assert_array_equal(future.target[1:], clip.blocks.target[:-1])
    np.testing.assert_array_equal(future.boxes[:, 0], clip.blocks.boxes[:, 0])


def test_an_update_may_be_judged_by_all_frames_of_the_block_after_it():
    tracker = make("roam", "none", stand_in=True)
    config = dataclasses.replace(tracker.config, blocks=1, block=2)
    clip = cut(tracker.replace(config=config), episode("roam"))
    blocks = clip.blocks
    hidden = blocks.weights.at[0, 0].set(0.0)
    clip = clip.replace(blocks=blocks.replace(weights=hidden))
    count = hidden.shape[1]
    future = random_frames(jax.random.key(0), clip, count)
    in_order = lambda boxes: np.sort(np.asarray(boxes)[..., 0], axis=1)
    np.testing.assert_array_equal(in_order(future.boxes), in_order(blocks.boxes))
    expected = np.array(hidden > 0) / np.maximum(np.sum(hidden > 0, 1, keepdims=True), 1)
    np.testing.assert_allclose(np.sort(future.weights, 1), np.sort(expected, 1), rtol=1e-6)


@pytest.mark.parametrize("future", (0, 4))
def test_an_update_can_only_be_judged_by_frames_that_a_block_has(future):
    with pytest.raises(InputError, match=f"future={future}: a block has 3 frames"):
        ROAMConfig(block=3, future=future)


def test_an_estimated_box_is_where_the_response_peaks_and_has_the_size_of_the_regression(
    monkeypatch,
):
    tracker = make("roam", "none", stand_in=True)
    clip = cut(tracker, episode("roam"))
    blocks, n = clip.blocks.weights.shape
    target = clip.first.target
    true = jnp.broadcast_to(boxes_lib.from_center(jnp.full(2, 3.0), target), (blocks, n, 4))
    clip = clip.replace(blocks=clip.blocks.replace(boxes=true))

    def outputs(config, model, features, target):
        response = jnp.zeros(features.shape[:3]).at[:, 4, 3].set(1.0)
        return ResizableOutputs(response, jnp.zeros((4, *response.shape)))

    monkeypatch.setattr(clips, "outputs", outputs)
    config = ROAMConfig()
    found = clips.estimated_boxes(
        config.model, config.search, tracker.initial, clip.first, clip.blocks
    )
    expected = boxes_lib.from_center(jnp.array([3.0, 4.0]), target)
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), rtol=1e-5)


@pytest.mark.full
def test_updates_in_meta_training_see_estimated_boxes_beside_the_first_frame():
    tracker = make("roam", "learned_rates", stand_in=True)
    clip = cut(tracker, episode("roam"))

    @functools.partial(jax.jit, static_argnames=("simulation", "share"))
    def models(clip, simulation, share=0.5):
        config = dataclasses.replace(tracker.config, simulation=simulation, first_share=share)
        return tracker.replace(config=config).updates(clip).models

    config, estimated, true = tracker.config, models(clip, "estimated"), models(clip, "true")
    first = jax.tree.map(lambda leaf: leaf[0], estimated)
    estimate = jax.jit(clips.estimated_boxes, static_argnums=(0, 1))
    found = estimate(config.model, config.search, first, clip.first, clip.blocks)
    target = config.target_shape(found[:, -1, 2:])
    given = models(clip.replace(blocks=clip.blocks.replace(boxes=found, target=target)), "true")
    leaves = zip(*map(jax.tree.leaves, (estimated, given, true)), strict=True)
    furthest = 0.0
    for ours, same, other in leaves:
        np.testing.assert_allclose(ours, same, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(ours[0], other[0], rtol=1e-6)
        furthest = max(furthest, jnp.abs(ours - other).max())
    assert furthest > 1e-4

    # Of the first frame alone, they are the same whatever else there is to see but its shape.
    blank = clip.replace(blocks=clip.blocks.replace(features=0 * clip.blocks.features))
    for one, other in zip(
        *(jax.tree.leaves(models(seen, "true", 1.0)) for seen in (clip, blank)), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_a_clip_of_one_block_is_fitted_to_its_first_frame_only():
    tracker = make("roam", "learned_rates", stand_in=True)
    short = tracker.replace(config=dataclasses.replace(tracker.config, blocks=1, block=2))
    updates = jax.jit(lambda episode: short.updates(short.clip(episode)))(episode("roam"))
    fit = lambda tracker, samples: tracker.fit(
        tracker.optimizer, tracker.initial, batch=samples, steps=1
    )
    start = jax.jit(fit)(tracker, cut(tracker, episode("roam")).first)
    np.testing.assert_allclose(updates.losses, start.losses[:1], rtol=1e-5)
    for model, expected in zip(
        jax.tree.leaves(updates.models), jax.tree.leaves(start.params), strict=True
    ):
        np.testing.assert_allclose(model, expected[None], rtol=1e-4, atol=1e-6)


@pytest.fixture(scope="module")
def gradients():
    """The outer loss and its gradient by adjoint."""

    @jax.jit
    def run(tracker):
        loss = lambda tracker: tracker.outer_loss(episode("roam"))[0]
        return jax.value_and_grad(loss)(tracker)

    tracker = make("roam", "learned_rates", stand_in=True)
    return {
        adjoint: run(tracker.replace(config=dataclasses.replace(SMALL["roam"], adjoint=adjoint)))
        for adjoint in ("truncated", "unrolled")
    }


@pytest.mark.full
def test_truncation_changes_the_gradient_and_nothing_else(gradients):
    (loss, truncated), (same, unrolled) = gradients["truncated"], gradients["unrolled"]
    np.testing.assert_allclose(loss, same, rtol=1e-6)
    # The first rates act on the second loss through the params alone, which truncation cuts; the
    # last ones have no update after them.
    first, last = (
        jnp.abs(
            truncated.optimizer.rates.response.filters - unrolled.optimizer.rates.response.filters
        )[i]
        for i in (0, 1)
    )
    scale = jnp.abs(unrolled.optimizer.rates.response.filters).max()
    assert first.max() > 1e-3 * scale and last.max() < 1e-5 * scale


def test_recent_samples_are_a_ring_read_from_the_oldest_on():
    memory = RecentSamples.create({"x": jnp.zeros(())}, 3)
    yes, no = jnp.array(True), jnp.array(False)
    for value, enabled in ((1.0, yes), (9.0, no), (2.0, yes)):
        memory = memory.store({"x": jnp.array(value)}, enabled)
    np.testing.assert_array_equal(memory.newest(5)["x"], [1, 2, 1, 2, 1])
    for value in (3.0, 4.0):
        memory = memory.store({"x": jnp.array(value)}, yes)
    np.testing.assert_array_equal(memory.newest(4)["x"], [2, 3, 4, 2])
    assert memory.stored == 4


@pytest.mark.full
def test_the_first_frame_has_its_share_in_an_update():
    share = 0.3
    tracker = make("roam", "learned_rates", stand_in=True)
    tracker = tracker.replace(config=dataclasses.replace(tracker.config, first_share=share))
    images, boxes = video(2)
    state = init(tracker, frame(images[0]), jnp.asarray(boxes[0]))
    state, _ = step(tracker, state, frame(images[1]))
    learned = update(tracker, state)
    model, target = learned["model"], learned["target"]

    def loss(sample):
        samples = ResizableSamples(
            sample["features"][None], sample["boxes"][None], jnp.ones(1), target
        )
        return lambda model: resizable.objective(tracker.config.model).loss(model, samples)

    @jax.jit
    def expected(first, newest):
        current = state.model
        for _ in range(tracker.config.update_steps):
            both = lambda model: share * loss(first)(model) + (1 - share) * loss(newest)(model)
            rates = jax.tree.map(lambda leaf: leaf[-1], tracker.optimizer.rates)
            gradient = jax.grad(both)(current)
            current = jax.tree.map(lambda x, rate, g: x - rate * g, current, rates, gradient)
        return current

    newest = jax.tree.map(lambda leaf: leaf[0], state.memory.newest(1))
    for one, other in zip(
        jax.tree.leaves(model),
        jax.tree.leaves(expected(state.first_sample, newest)),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@jax.jit
def found_with(tracker, state, frame):
    levels = tracker.backbone(tracker.search(state, frame))
    seen = tracker.look(state, levels, jnp.ones(1), jnp.ones(1, bool))
    return tracker.find(state, frame, seen)[1]


@pytest.mark.parametrize(
    ("share", "same"), [pytest.param(1.0, True, marks=pytest.mark.full), (0.5, False)]
)
def test_the_first_model_has_its_share_in_the_response(share, same):
    tracker = make("roam", "learned_rates", stand_in=True)
    tracker = tracker.replace(config=dataclasses.replace(tracker.config, first_response=share))
    images, boxes = video(2)
    state = init(tracker, frame(images[0]), jnp.asarray(boxes[0]))
    before = found_with(tracker, state, frame(images[1]))
    response = jax.tree.map(lambda leaf: 3 * leaf, state.model.response)
    changed = state.replace(model=state.model.replace(response=response))
    after = found_with(tracker, changed, frame(images[1]))
    assert bool(jnp.abs(after.score - before.score) < 1e-6) == same
    # What an update makes of the reference holds for the same mixture.
    learned = changed.replace(memory=changed.memory.store(changed.first_sample, jnp.array(True)))
    renewed = update(tracker, learned)["reference"]
    assert bool(jnp.abs(renewed - state.reference) < 1e-6) == same


@pytest.mark.full  # that its scales are searched is in test_scale_search
def test_the_search_over_scales_follows_a_plain_target_as_the_regression_does():
    images, boxes = video(12)
    tracker = make("roam", ROAM.default_rule)
    search = dataclasses.replace(tracker.config.search, boxes="scales")
    tracker = tracker.replace(config=dataclasses.replace(tracker.config, search=search))
    predicted, _ = tracking_tasks.OnlineTracker(tracker, "default").track(images, boxes[0])
    assert tracking_tasks.evaluation.overlap(predicted, boxes).min() > 0.6
