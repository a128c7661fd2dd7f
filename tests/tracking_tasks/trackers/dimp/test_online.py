"""DiMP online: what each kind of trust does to place, memory and filter."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.tracking_tasks.striped import frame, video
from tests.tracking_tasks.tiny import make
from tests.tracking_tasks.trackers.spies import traced
from tracking_tasks.trackers.dimp import tracker as dimp
from tracking_tasks.trackers.dimp.iou import IoURefiner
from tracking_tasks.trackers.dimp.localization import (
    LocalizationConfig,
    Location,
    LookAlike,
    Trust,
)
from tracking_tasks.trackers.dimp.loss import FilterSamples
from tracking_tasks.trackers.dimp.refinement import IoUConfig

TRACKER = make(
    hard_negative_steps=3, learning_rate=0.1, hard_negative_lr=0.5, memory_size=20, scales=(1.0,)
)


@pytest.fixture(scope="module")
def start():
    """The state after the first frame, and the frame."""
    images, boxes = video(1)
    seen = frame(images[0])
    return jax.jit(TRACKER.init)(seen, jnp.asarray(boxes[0])), seen


@pytest.fixture(scope="module")
def after(start):
    """The state after a frame in which the target is five cells off, by the trust in that."""

    @jax.jit
    def step(state, seen, trust):
        place = lambda scores, previous, *_: Location(
            previous + 5, scores.max(), trust, LookAlike.none()
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dimp, "locate", place)
            return TRACKER.step(state, seen)[0]

    return {trust: step(*start, jnp.asarray(int(trust))) for trust in Trust}


def stored(before, after):
    return bool(jnp.any(after.memory.weights != before.memory.weights))


def test_a_look_alike_is_learned_from_at_once(start, after):
    state, _ = start
    found = after[Trust.HARD_NEGATIVE]
    samples = FilterSamples(**found.memory.samples, weights=found.memory.weights)
    fit = jax.jit(lambda start, samples, memory: TRACKER.fit(start, samples, 3, state=memory))
    fitted = fit(state.target_filter, samples, state.rule_state)
    assert jnp.abs(fitted.params - state.target_filter).max() > 1e-3
    np.testing.assert_allclose(found.target_filter, fitted.params, rtol=1e-3, atol=1e-5)
    # Frame 1 is not one of the regular updates, which come every second frame.
    np.testing.assert_array_equal(after[Trust.NORMAL].target_filter, state.target_filter)


@pytest.mark.parametrize(("trust", "rate"), [(Trust.NORMAL, 0.1), (Trust.HARD_NEGATIVE, 0.5)])
def test_its_sample_weighs_more(start, after, trust, rate):
    before, found = start[0].memory, after[trust].memory
    slot = before.initial  # the first free one
    np.testing.assert_allclose(found.weights[slot] / found.weights[0], 1 / (1 - rate), rtol=1e-5)
    center = TRACKER.backbone.grid.to_cells(TRACKER.config.crop_size / 2) + 5
    np.testing.assert_allclose(found.samples["centers"][slot], center, rtol=1e-5)


@pytest.mark.parametrize("trust", [Trust.UNCERTAIN, Trust.NOT_FOUND])
def test_what_is_not_trusted_is_not_learned(start, after, trust):
    state, found = start[0], after[trust]
    assert not stored(state, found) and stored(state, after[Trust.NORMAL])
    np.testing.assert_array_equal(found.target_filter, state.target_filter)


def test_the_tracker_stays_where_nothing_is_found(start, after):
    state, _ = start
    np.testing.assert_array_equal(after[Trust.NOT_FOUND].center, state.center)
    side = TRACKER.search_side(state.size)
    way = 5 * 8 * side / TRACKER.config.crop_size  # cells of 8 pixels of the crop
    for trust in (Trust.NORMAL, Trust.HARD_NEGATIVE, Trust.UNCERTAIN):
        np.testing.assert_allclose(after[trust].center - state.center, way, rtol=1e-4)


@pytest.mark.parametrize(("redetect", "usual", "is_found"), [
    (True, 1.9, True), (True, 2.1, False), (False, 2.1, True),
])  # fmt: skip
def test_what_has_less_than_half_of_the_usual_score_is_not_found_by_a_tracker_that_looks_for_it(
    start, redetect, usual, is_found, monkeypatch
):
    config = dataclasses.replace(TRACKER.config, redetect=redetect)
    place = lambda scores, previous, *_: Location(
        previous + 5, jnp.ones(()), jnp.asarray(int(Trust.NORMAL)), LookAlike.none()
    )
    monkeypatch.setattr(dimp, "locate", place)
    state, seen = start[0].replace(usual_score=jnp.float32(usual)), start[1]
    found, prediction = jax.jit(TRACKER.replace(config=config).step)(state, seen)
    assert stored(state, found) == is_found
    assert bool(jnp.any(found.center != state.center)) == is_found
    assert float(prediction.score) == 1.0
    assert bool(prediction.present) == (config.present_share * usual**0.5 <= 1.0)
    after = (1.0 + usual) / 2 if usual < 1 / 0.7 else usual
    assert float(found.usual_score) == pytest.approx(after)


def test_the_look_alike_of_a_frame_is_known_in_the_next(start, monkeypatch):
    def place(scores, previous, density, last, config):
        moved = LookAlike(last.look_alike.position + 1, last.look_alike.hides + 1)
        return Location(previous, scores.max(), jnp.asarray(int(Trust.NORMAL)), moved)

    monkeypatch.setattr(dimp, "locate", place)
    state, seen = start
    assert jnp.isnan(state.look_alike.position).all()  # none in the first frame
    known = state.replace(look_alike=LookAlike(jnp.array([7.0, 9.0]), jnp.asarray(2)))
    after = jax.jit(TRACKER.step)(known, seen)[0].look_alike
    np.testing.assert_array_equal(after.position, [8.0, 10.0])
    assert after.hides == 3


def test_thresholds_are_those_of_the_published_tracker():
    """pytracking, parameter/dimp/dimp50.py."""
    assert LocalizationConfig() == LocalizationConfig(
        lost_threshold=0.25, distractor=0.8, hard_negative=0.5, neighborhood=2.2, displacement=0.8
    )


@pytest.mark.full
def test_the_search_is_corrected_by_so_many_samples_of_the_first_frame(monkeypatch):
    seen = []
    reference = IoURefiner.reference

    def spy(self, frames, true_boxes, key):
        seen.append((len(frames.fine), len(frames.coarse), len(true_boxes)))
        return reference(self, frames, true_boxes, key)

    monkeypatch.setattr(IoURefiner, "reference", spy)
    traced(make(box_estimation="overlap", iou=IoUConfig(calibrations=4)))
    assert seen == [(4, 4, 4)]
