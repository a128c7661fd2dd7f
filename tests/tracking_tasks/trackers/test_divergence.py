"""Updates that are not finite are undone and counted, whatever the tracker; others stay."""

import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from basics.leaves import named_leaves, with_leaves
from tests.tracking_tasks.striped import frame, video
from tests.tracking_tasks.trackers.small import make
from tracking_tasks.episode import Prediction
from tracking_tasks.online import OnlineTracker
from tracking_tasks.trackers import TRACKERS
from tracking_tasks.trackers.soundness import where_due

IMAGES, BOXES = video(6)
FOUND = Prediction(jnp.array([80.0, 90.0, 30.0, 20.0]), jnp.array(0.97))


@functools.cache
def started():
    """A tracker that learns from every frame, and its state after the first."""
    tracker = make("gradnet", "gradient_descent", stand_in=True)
    config = dataclasses.replace(tracker.config, update_interval=1, update_threshold=0.0)
    tracker = tracker.replace(config=config)
    return tracker, jax.jit(tracker.init)(frame(IMAGES[0]), jnp.asarray(BOXES[0]))


def learned(spoil, due=True):
    tracker, before = started()

    def update(fields):
        new = jax.tree.map(lambda x: x + 1, fields)
        return new | {"exemplar": new["exemplar"].at[0, 0, 0].set(spoil)}

    return before, *jax.jit(lambda state: tracker.learned(state, due, update))(before)


def judged(prediction):
    tracker, before = started()
    after = before.replace(center=FOUND.box[:2], size=FOUND.box[2:])
    return before, *jax.jit(tracker.judged)(before, jnp.array(70.0), after, prediction)


def assert_equal(one, other):
    for left, right in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(left, right)


TRAINED = TRACKERS["gradnet"].adapted


@pytest.mark.parametrize("spoil", [np.nan, np.inf, -np.inf, 1e16])
def test_what_an_update_changed_goes_back_together(spoil):
    before, state, undone = learned(spoil)
    assert bool(undone)
    assert_equal(state, before)


def test_a_finite_update_stays():
    before, state, undone = learned(1e3)
    assert not bool(undone)
    assert float(state.exemplar[0, 0, 0]) == 1e3
    for name in TRAINED:
        assert_equal(
            jax.tree.leaves(getattr(state, name))[1:],
            [leaf + 1 for leaf in jax.tree.leaves(getattr(before, name))[1:]],
        )
    assert_equal(state.newest, before.newest)


def test_without_an_update_everything_stays_and_nothing_is_undone():
    before, state, undone = learned(np.nan, due=False)
    assert not bool(undone)
    assert_equal(state, before)


@pytest.mark.parametrize("undone", [True, False])
def test_a_step_says_whether_an_update_was_undone_and_follows_the_target(undone):
    _, state, prediction = judged(FOUND._replace(undone=jnp.array(undone)))
    assert bool(prediction.undone) == undone
    np.testing.assert_array_equal(state.center, FOUND.box[:2])
    np.testing.assert_array_equal(prediction.box, FOUND.box)


@pytest.mark.parametrize("lost", [{"box": FOUND.box * jnp.nan}, {"score": jnp.array(jnp.inf)}])
def test_a_response_that_is_not_finite_moves_no_target(lost):
    before, state, prediction = judged(FOUND._replace(**lost))
    np.testing.assert_array_equal(state.center, before.center)
    np.testing.assert_array_equal(state.size, before.size)
    np.testing.assert_allclose(prediction.box, BOXES[0])
    assert (float(prediction.score), bool(prediction.present)) == (0.0, False)


@pytest.mark.full
def test_a_finite_run_is_bit_for_bit_that_without_a_look_at_it(monkeypatch):
    tracker, first = started()

    def run():
        step = jax.jit(lambda state, seen: tracker.step(state, seen))
        state, predictions = first, []
        for image in IMAGES[1:4]:
            state, prediction = step(state, frame(image))
            predictions.append(prediction)
        return state, predictions

    looked_at = run()
    assert float(jnp.abs(looked_at[0].exemplar - first.exemplar).max()) > 0
    unseen = lambda self, state, due, update: (
        state.replace(**jax.lax.cond(due, update, lambda fields: fields, fields_of(state))),
        jnp.array(False),
    )
    monkeypatch.setattr(type(tracker), "learned", unseen)
    assert_equal(looked_at, run())


def test_a_rule_that_diverges_is_counted_and_tracks_as_without_updates():
    tracker, _ = started()
    still = tracker.replace(config=dataclasses.replace(tracker.config, online_update=False))
    unlearned, _ = OnlineTracker(still, "gradient_descent").track(IMAGES, BOXES[0])
    online = OnlineTracker(tracker, "gradient_descent")
    online.init(IMAGES[0], BOXES[0])
    rates = {k: v * 1e30 for k, v in named_leaves(tracker).items() if k.startswith("optimizer")}
    assert rates
    online.tracker = with_leaves(tracker, rates)
    predictions = [online.update(image) for image in IMAGES[1:]]
    assert any(prediction.undone for prediction in predictions)
    boxes = np.stack([prediction.box for prediction in predictions])
    np.testing.assert_allclose(boxes, unlearned[1:], atol=1e-3)
    assert np.isfinite([each.score for each in predictions]).all()


@pytest.mark.parametrize("name", sorted(TRACKERS))
def test_every_tracker_says_what_its_updates_change(name):
    fields = {field.name for field in dataclasses.fields(state_type(name))}
    assert TRACKERS[name].adapted and set(TRACKERS[name].adapted) <= fields
    assert "rule_state" in TRACKERS[name].adapted or "rule_state" not in fields


def fields_of(state):
    return {name: getattr(state, name) for name in TRAINED}


def state_type(name):
    return TRACKERS[name].init.__annotations__["return"]


def copies(update_where):
    """How often a compiled program, which may write into the state, copies it."""
    given = {"state": jnp.zeros((512, 512))}, jnp.array(False)
    text = jax.jit(update_where, donate_argnums=0).lower(*given).compile().as_text()
    return len(re.findall(r"f32\[512,512\]\S* copy\(", text))


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="what XLA does on the CPU")
def test_what_no_update_changes_is_not_copied():
    squared = lambda tree: {"state": tree["state"] @ tree["state"]}
    assert copies(lambda before, due: where_due(due, squared, before)) == 0
    assert copies(lambda before, due: jax.lax.cond(due, squared, lambda tree: tree, before)) > 0
