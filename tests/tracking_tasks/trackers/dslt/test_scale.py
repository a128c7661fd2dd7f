"""When DSLT follows the scale of its target, and how far."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.tracking_tasks.striped import frame, video
from tests.tracking_tasks.tiny import Tiny
from tests.tracking_tasks.trackers.small import SMALL
from tracking_tasks.peaks import ScalePeak
from tracking_tasks.trackers.dslt import tracker as dslt

CONFIG = dataclasses.replace(
    SMALL["dslt"],
    scales=(0.8, 1.0, 1.25),
    scale_threshold=0.3,
    scale_lr=0.5,
    lost_threshold=0.2,
    init_steps=1,
    update_steps=1,
)


@pytest.fixture(scope="module")
def sizes():
    """The size after a frame, relative to that before, by score and best scale."""
    tracker = dslt.DSLT.create("adam", CONFIG, Tiny())
    images, boxes = video(1)
    seen = frame(images[0])
    state = jax.jit(tracker.init)(seen, jnp.asarray(boxes[0]))

    @jax.jit
    def step(scale, score):
        middle = jnp.full(2, tracker.backbone.grid.to_cells(CONFIG.crop_size / 2))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dslt, "search_scales", lambda *_: ScalePeak(scale, middle, score))
            return tracker.step(state, seen)[0].size / state.size

    return lambda scale, score: np.asarray(step(jnp.asarray(scale), jnp.asarray(score)))


@pytest.mark.parametrize(("scale", "factor"), [(0, 0.9), (1, 1.0), (2, 1.125)])
def test_half_of_a_change_is_followed(sizes, scale, factor):
    np.testing.assert_allclose(sizes(scale, 0.31), factor, rtol=1e-5)


def test_no_change_is_followed_up_to_the_score_for_it(sizes):
    for score in (0.1, 0.25, 0.3):
        np.testing.assert_allclose(sizes(2, score), 1.0, rtol=1e-6)
