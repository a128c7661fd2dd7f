"""Trackers that look at several scales in every n-th frame only."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from basics.errors import InputError
from tests.products import chosen
from tests.tracking_tasks.striped import frame, video
from tests.tracking_tasks.trackers.small import make
from tests.tracking_tasks.trackers.spies import traced

INTERVAL = 3
# Changed scales are favoured, so that every search over them changes the size.
SEARCH = {"scales": (0.8, 1.0, 1.25), "scale_penalty": 5.0, "scale_interval": INTERVAL}
FOLLOWED = {
    "dslt": {"scale_lr": 0.5, "scale_threshold": -1e6, "lost_threshold": -1e6},
    "gradnet": {"scale_lr": 0.5},
    "roam": {"lost_threshold": -1e6},
}
step = jax.jit(lambda tracker, state, frame: tracker.step(state, frame))


def searching(name, **changes):
    tracker = make(name, "none", stand_in=True)
    if name == "roam":
        search = dataclasses.replace(tracker.config.search, boxes="both", **SEARCH, **changes)
        config = dataclasses.replace(tracker.config, search=search, **FOLLOWED[name])
    else:
        config = dataclasses.replace(tracker.config, **FOLLOWED[name] | SEARCH | changes)
    return tracker.replace(config=config)


def started(tracker):
    images, boxes = video(1)
    seen = frame(images[0])
    return jax.jit(tracker.init)(seen, jnp.asarray(boxes[0])), seen


@pytest.mark.parametrize(("name",), chosen(zip(FOLLOWED), []))
def test_a_step_follows_scales_at_the_interval_and_as_all_crops_show_them(name):
    tracker = searching(name)
    state, seen = started(tracker)
    follow = jax.jit(
        lambda tracker, state: tracker.follow(
            state, seen, tracker.backbone(tracker.search(state, seen))
        )
    )
    changed = []
    for _ in range(2 * INTERVAL):
        (together, shown), (after, predicted) = follow(tracker, state), step(tracker, state, seen)
        np.testing.assert_allclose(after.size, together.size, rtol=1e-5)
        np.testing.assert_allclose(after.center, together.center, rtol=1e-5)
        np.testing.assert_allclose(predicted.score, shown.score, rtol=1e-3, atol=1e-5)
        changed.append(not np.allclose(after.size, state.size, rtol=1e-3))
        state = after
    assert changed == [False, False, True] * 2


def test_the_backbone_is_in_the_program_of_a_step_a_single_time(monkeypatch):
    seen = []
    tracker = searching("gradnet")
    look = type(tracker.backbone).__call__
    spy = lambda self, images: seen.append(images.shape) or look(self, images)
    monkeypatch.setattr(type(tracker.backbone), "__call__", spy)
    traced(tracker)
    side = tracker.config.crop_size
    assert seen[1:] == [(1, side, side, 3)]  # the first one is of the first frame


def test_between_two_searches_too_a_black_frame_moves_no_target():
    tracker = searching("gradnet")
    before, seen = started(tracker)
    black = frame(np.zeros(seen.pixels.shape, np.uint8))
    for _ in range(INTERVAL):
        after, prediction = step(tracker, before, black)
        np.testing.assert_array_equal(after.center, before.center)
        np.testing.assert_array_equal(after.size, before.size)
        assert (float(prediction.score), bool(prediction.present)) == (0.0, False)
        before = after


def test_an_interval_needs_the_scale_as_it_is():
    tracker = searching("gradnet", scales=(0.9, 1.1))
    state, seen = started(tracker)
    with pytest.raises(InputError, match="must hold 1"):
        tracker.step(state, seen)
