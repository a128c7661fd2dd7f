"""What the constants of MetaRTT do, one by one."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.tracking_tasks.striped import frame, video
from tests.tracking_tasks.tiny import Tiny
from tests.tracking_tasks.trackers.meta_rtt.episodes import batch
from tests.tracking_tasks.trackers.small import SMALL
from tests.tracking_tasks.trackers.spies import spied, traced
from tracking_tasks import boxes as boxes_lib
from tracking_tasks.memory import RecentSamples
from tracking_tasks.trackers.meta_rtt import box_sampling, model, simulation
from tracking_tasks.trackers.meta_rtt import tracker as meta_rtt
from tracking_tasks.trackers.meta_rtt.box_regression import BoxRegressor
from tracking_tasks.trackers.meta_rtt.box_sampling import Spread
from tracking_tasks.trackers.meta_rtt.tracker import MetaRTT

KEY = jax.random.key(0)
BOX = jnp.array([40.0, 30.0, 20.0, 10.0])


def tracker(**changes):
    config = dataclasses.replace(SMALL["meta_rtt"], **changes)
    return MetaRTT.create("learned_rates", config, Tiny())


def first_episode(one):
    """An episode with the first frame of another, as the outer loss is given it."""
    return jax.tree.map(lambda leaf: leaf[0], one.mix(batch()))


def test_samples_are_drawn_as_their_own_constants_say(monkeypatch):
    spreads = [Spread(0.1 * n, 1.0 + 0.1 * n) for n in range(1, 5)]
    one = tracker(
        positive_spread=spreads[0], negative_spread=spreads[1], online_negative_spread=spreads[2],
        regression_spread=spreads[3], positive_overlap=0.71, negative_overlap=0.52,
        online_negative_overlap=0.33, regression_overlap=0.64, regression_samples=11,
    )  # fmt: skip
    calls = spied(monkeypatch, box_sampling, "overlapping")
    features = jnp.zeros((12, 12, 16))
    for first in (True, False):
        draw = functools.partial(one.model.samples, KEY, features, BOX, (3, 5), first)
        jax.eval_shape(lambda draw=draw: jax.tree.leaves(draw()))
    jax.eval_shape(lambda: jax.tree.leaves(one.model.around(KEY, BOX)))
    assert [call[2:] for call in calls] == [
        (3, spreads[0], 0.71),
        (5, spreads[1], 0.0, 0.52),
        (3, spreads[0], 0.71),
        (5, spreads[2], 0.0, 0.33),
        (11, spreads[3], 0.64),
    ]


def test_a_box_is_seen_with_its_context_at_so_many_places(monkeypatch):
    seen = []
    align = lambda features, cells, size: seen.append((cells, size)) or jnp.zeros((1, size, size))
    monkeypatch.setattr(model, "adaptive_roi_align", align)
    one = tracker(context=1.5, roi_size=2)
    one.model.roi_features(jnp.zeros((12, 12, 16)), BOX[None])
    ((cells, size),) = seen
    wide = boxes_lib.from_center(boxes_lib.center(BOX), 1.5 * BOX[2:])
    np.testing.assert_allclose(cells[0], one.backbone.grid.boxes_to_cells(wide), rtol=1e-6)
    assert size == 2 and one.initial.hidden[0].kernel.shape == (2 * 2 * 16, 16)


def test_the_layers_begin_as_the_constants_say():
    one = tracker(levels="deeper", channels=5, ridge=0.3, initial_lr=0.7)
    assert one.shared.kernel.shape == (4, 5) and tracker(channels=5).shared.kernel.shape == (10, 5)
    np.testing.assert_allclose(one.log_ridge, np.log(0.3), rtol=1e-6)
    np.testing.assert_allclose(one.optimizer.learned_rates(), 0.7, rtol=1e-5)
    np.testing.assert_allclose(one.online_optimizer.learned_rates(), 0.7, rtol=1e-5)


def test_masks_are_made_as_the_constants_say(monkeypatch):
    calls = spied(monkeypatch, meta_rtt, "ChannelMasks")
    tracker(kept=0.5, mask_hidden=7, mask_dropout=0.2, adaptive_masks=False)
    ((widths, hidden, dropout, _, adaptive),) = calls
    assert (widths, hidden, dropout, adaptive) == ((16, 16, 16), 7, 0.2, False)


def test_an_episode_is_a_clip_of_its_own_length_and_jitter():
    cut = tracker(clip=33.0, clip_shift=0.4, clip_scale=0.05, online_frames=3).episode_config
    assert (cut.segment, cut.query_shift, cut.query_scale) == (33.0, 0.4, 0.05)
    assert (cut.support, cut.query, cut.in_order) == (1, 4, True)
    assert cut.support_shift == cut.support_scale == 0


def test_estimates_and_hard_examples_are_as_many_as_the_constants_say(monkeypatch):
    one = tracker(episode_candidates=9, hard_examples=3, candidate_spread=Spread(0.3, 1.1))
    calls = spied(monkeypatch, box_sampling, "around")

    episode = first_episode(one)

    def run(one):
        seen = one.simulate(episode)
        calls.clear()
        seen.targets(KEY, one.initial)
        return seen.hard, seen.hard_weights

    hard, weights = jax.eval_shape(run, one)
    assert hard.shape[0] == weights.shape[0] == 2 * 3  # of two other episodes
    assert [call[2:] for call in calls] == [(9, Spread(0.3, 1.1))]


def test_the_parts_of_the_outer_loss_are_weighed(monkeypatch):
    """Fits that take no step, and parts that are known."""
    one = tracker(
        triplet_weight=0.5, regression_weight=7.0, triplet_margin=0.3, train_steps=1, online_steps=1
    )
    monkeypatch.setattr(simulation, "cross_entropy", lambda *_: jnp.array(2.0))
    margins = []
    triplet = lambda *arguments: margins.append(arguments[-1]) or jnp.array(10.0)
    monkeypatch.setattr(simulation, "triplet_loss", triplet)
    monkeypatch.setattr(simulation.Simulation, "regression_loss", lambda _: jnp.array(100.0))
    episode = first_episode(one)
    loss, _ = jax.jit(lambda one: one.outer_loss(episode))(one)
    assert loss == pytest.approx(2 * (2 + 0.5 * 10) + 7 * 100)  # two fits are judged
    assert margins == [0.3, 0.3]


def test_memories_are_as_large_as_the_constants_say():
    state = traced(tracker(long_memory=5, short_memory=3, frame_positives=4, frame_negatives=6))
    assert state.positives.samples.features.shape[:2] == (5, 4)
    assert state.negatives.samples.features.shape[:2] == (3, 6)


def test_an_update_draws_from_as_many_frames_as_the_constants_say(monkeypatch):
    one = tracker(long_memory=5, short_memory=3, positives=4, negatives=6, online_steps=1)
    state, draw = traced(one), RecentSamples.draw

    @jax.jit
    def drawn(lost):
        calls = []

        def spy(self, key, count, newest):
            calls.append((count, newest))
            return draw(self, key, count, newest)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(RecentSamples, "draw", spy)
            one._update(state.replace(lost=lost), KEY)
        return calls

    assert drawn(jnp.array(False)) == [(4, 5), (6, 3)]
    assert drawn(jnp.array(True)) == [(4, 3), (6, 3)]


@pytest.fixture(scope="module")
def after():
    """States after a frame, by how strongly it shows the target and whether it was lost before.

    Candidates lie 10 pixels of the crop times the reach to the right, the box regression doubles
    the sides of a box, and its reference becomes the rate at which it is followed; an update sets
    the last biases to 9.
    """
    one = tracker(
        lost_reach=3.0, size_lr=0.25, reference_lr=0.125, best=2, update_interval=4,
        lost_threshold=0.5, update_threshold=0.6,
    )  # fmt: skip
    images, start = video(1)
    seen = frame(images[0])
    state = jax.jit(one.init)(seen, jnp.asarray(start[0]))
    counts = []

    def around(key, box, count, spread, reach=1.0):
        return jnp.tile(box, (count, 1)).at[:, 0].add(10 * reach)

    def top_k(scores, count):
        counts.append(count)
        return scores[:count], jnp.arange(count)

    def updated(self, state, key):
        classifier = jax.tree.map(lambda leaf: leaf, state.classifier)
        classifier.last.bias[...] = jnp.full(2, 9.0)
        return classifier

    def doubled(self, features, boxes):
        return boxes_lib.from_center(boxes_lib.center(boxes), 2 * boxes[:, 2:])

    def follow(self, features, rate):
        return self.replace(reference=jnp.full_like(self.reference, rate))

    @jax.jit
    def step(state, strength):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(box_sampling, "around", around)
            patch.setattr(BoxRegressor, "__call__", doubled)
            patch.setattr(BoxRegressor, "follow", follow)
            patch.setattr(MetaRTT, "_update", updated)
            patch.setattr(MetaRTT, "_strength", lambda *_: strength)
            patch.setattr(jax.lax, "top_k", top_k)
            return one.step(state, seen)[0]

    def run(strength, lost=False, frames=0):
        before = state.replace(lost=jnp.array(lost), frames=jnp.array(frames, jnp.int32))
        found = step(before, jnp.asarray(strength))
        assert counts[0] == 2  # the best
        return before, found

    return one, run


@pytest.mark.parametrize(("lost", "reach"), [(False, 1.0), (True, 3.0)])
def test_after_a_lost_frame_the_search_reaches_further(after, lost, reach):
    one, run = after
    before, found = run(1.0, lost)
    pixels = one.search_side(before.size) / one.config.crop_size
    np.testing.assert_allclose(
        found.center - before.center, [10 * reach * pixels, 0], rtol=1e-4, atol=1e-3
    )


def test_a_share_of_the_change_of_size_is_followed(after):
    before, found = after[1](1.0)
    np.testing.assert_allclose(found.size / before.size, 2**0.25, rtol=1e-5)


def test_the_regression_gets_used_to_what_is_not_lost(after):
    assert after[1](0.55)[1].regressor.reference[0] == 0.125
    assert after[1](0.45)[1].regressor.reference[0] == 0


@pytest.mark.parametrize(
    ("strength", "frames", "learned"),
    [(1.0, 0, False), (1.0, 3, True), (0.4, 0, True), (1.0, 7, True), (1.0, 4, False)],
)
def test_the_classifier_learns_at_its_interval_and_when_lost(after, strength, frames, learned):
    _, found = after[1](strength, frames=frames)
    assert bool((found.classifier.last.bias[...] == 9).all()) == learned
