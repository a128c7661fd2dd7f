"""When ROAM has lost its target, and when it has found it again."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.tracking_tasks.striped import frame, video
from tests.tracking_tasks.trackers.small import make
from tracking_tasks.trackers.roam import tracker as roam
from tracking_tasks.trackers.roam.search import Found


@pytest.fixture(scope="module")
def after():
    """State and sample after a frame, by the share of the reference, and whether it was lost."""
    tracker = make("roam", "none", stand_in=True)
    config = dataclasses.replace(tracker.config, lost_threshold=0.3, redetection_threshold=0.7)
    tracker = tracker.replace(config=config)
    images, boxes = video(1)
    seen = frame(images[0])
    state = jax.jit(tracker.init)(seen, jnp.asarray(boxes[0]))

    @jax.jit
    def find(state, share):
        def search(model_config, config, outputs, past, scales, counts):
            size = past.size * 1.1
            return Found(jnp.ones(2), size, share * past.reference, jnp.array(0))

        levels = tracker.backbone(tracker.search(state, seen))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(roam, "search", search)
            looked = tracker.look(state, levels, jnp.ones(1), jnp.ones(1, bool))
        after, _, sample = tracker.find(state, seen, looked)
        return after, sample

    def run(share, lost):
        return state, *find(state.replace(lost=jnp.array(lost)), jnp.asarray(share))

    return run


@pytest.mark.parametrize(
    ("share", "before", "now"),
    [
        (0.2, False, True),  # lost
        (0.4, False, False),
        (0.4, True, True),  # not good enough to be found again
        (0.6, True, True),
        (0.8, True, False),
    ],
)
def test_a_target_is_found_again_at_a_higher_share_than_it_is_lost_at(after, share, before, now):
    assert bool(after(share, before)[1].lost) == now


def test_a_lost_target_is_left_where_it_was_and_not_learned_from(after):
    start, state, sample = after(0.2, False)
    np.testing.assert_array_equal(state.center, start.center)
    np.testing.assert_array_equal(state.size, start.size)
    assert not sample.good
    start, state, sample = after(0.4, False)
    assert (state.center > start.center).all() and sample.good
    np.testing.assert_allclose(state.size, 1.1 * start.size, rtol=1e-5)


def test_it_starts_with_the_wide_motion_map(after):
    assert bool(after(0.5, True)[0].lost)
