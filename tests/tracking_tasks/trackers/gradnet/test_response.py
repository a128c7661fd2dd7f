"""GradNet's response, its label and where it searches, by value."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models import correlate
from tests.tracking_tasks.striped import frame, video
from tests.tracking_tasks.tiny import Tiny
from tests.tracking_tasks.trackers.small import SMALL
from tracking_tasks import labels, peaks
from tracking_tasks.trackers.gradnet import tracker as gradnet
from tracking_tasks.trackers.gradnet.loss import SearchSamples, balanced_logistic, positives


def tiny(**changes):
    config = dataclasses.replace(SMALL["gradnet"], **changes)
    return gradnet.GradNet.create("none", config, Tiny())


def test_a_response_starts_as_gain_times_correlation_plus_bias():
    tracker = tiny(initial_gain=3.0, initial_bias=-2.0)
    random = np.random.default_rng(0)
    template = jnp.asarray(random.normal(size=(3, 3, 4)), jnp.float32)
    features = jnp.asarray(random.normal(size=(2, 6, 6, 4)), jnp.float32)
    expected = 3 * correlate(features, template) - 2
    np.testing.assert_allclose(tracker.response(template, features), expected, rtol=1e-5)


@pytest.mark.parametrize("radius", [0.25, 1.0])
def test_cells_within_a_radius_in_target_sizes_are_positive(radius):
    tracker = tiny(positive_radius=radius, search_factor=4.0, crop_size=96)
    cells = radius * 96 / 4 / 8
    logits = jnp.asarray(np.random.default_rng(0).normal(size=(2, 9, 9)), jnp.float32)
    centers = jnp.array([[4.0, 4.0], [2.0, 6.0]])
    samples = SearchSamples(jnp.zeros((2, 9, 9, 1)), centers, jnp.array([0.25, 0.75]))
    each = balanced_logistic(logits, positives(centers, 9, 9, cells))
    np.testing.assert_allclose(
        tracker.loss(logits, samples), np.array([0.25, 0.75]) @ np.asarray(each), rtol=1e-5
    )
    assert positives(centers, 9, 9, cells)[0].sum() == (1 if radius == 0.25 else 29)


def test_the_window_has_its_share_in_the_map_that_is_searched():
    tracker = tiny(window_influence=0.4, online_update=False)
    images, boxes = video(1)
    seen = frame(images[0])

    @jax.jit
    def searched(tracker):
        caught = []
        search = peaks.search_scales

        def spy(*arguments):
            caught.append(arguments)
            return search(*arguments)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gradnet, "search_scales", spy)
            tracker.step(tracker.init(seen, jnp.asarray(boxes[0])), seen)
        return caught[0][:2]

    logits, likely = searched(tracker)
    middle = tracker.config.middle_cell(tracker.backbone.grid)
    window = labels.cosine(jnp.full(2, float(middle)), *logits.shape[1:])
    expected = 0.6 * jax.nn.sigmoid(logits) + 0.4 * window
    np.testing.assert_allclose(likely, expected, rtol=1e-5, atol=1e-6)
    assert jnp.ptp(window) > 0.9
