"""MetaRTT's pruning: the masked classifier, what it costs, and the one without the channels."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from basics.errors import InputError
from models import MLP
from models.layers.channel_masks import ChannelMasks
from models.layers.fast_convolutions import PointwiseConv
from tests.tracking_tasks.striped import frame, video
from tests.tracking_tasks.tiny import Tiny
from tests.tracking_tasks.trackers.small import SMALL
from tracking_tasks.trackers.meta_rtt import pruning as channel_pruning
from tracking_tasks.trackers.meta_rtt.tracker import MetaRTT

KEY = jax.random.key(0)
MASKS = tuple(
    jnp.asarray(mask)
    for mask in ([0.5, 0.0, -2.0, 0.1], [1, 0.2, 0.9, 0, 3, 0.1], [0.3, 2, 0.1, 1, 0.0])
)


layers = jax.jit(channel_pruning.layers)


@functools.cache
def classifier():
    """Of four shared channels, and two samples a box."""
    return MLP(2 * 4, 2, hidden=(6, 5), key=KEY)


def features(n=7):
    return jax.nn.relu(jax.random.normal(KEY, (n, 8)))


def test_untrained_masks_let_all_pass_and_are_a_mean_over_samples():
    masks = ChannelMasks((4, 6), 16, 0.5, nnx.Rngs(0))
    seen = [jax.random.normal(KEY, (5, 4)), jax.random.normal(KEY, (5, 6))]
    found = masks(seen)
    assert [mask.shape for mask in found] == [(4,), (6,)]
    assert all(mask.min() > 0.5 and mask.max() < 1.5 for mask in found)
    one_by_one = [masks([x[i : i + 1] for x in seen])[1] for i in range(5)]
    np.testing.assert_allclose(found[1], np.mean(one_by_one, 0), rtol=1e-5)
    dropped = masks(seen, KEY)
    assert np.abs(dropped[0] - found[0]).max() > 1e-4
    same = ChannelMasks((4, 6), 16, 0.5, nnx.Rngs(0), adaptive=False)
    np.testing.assert_array_equal(same(seen)[0], same([x + 1 for x in seen])[0])


def test_masks_multiply_the_features_of_every_layer():
    (shared, first, second), logits = layers(classifier(), features(), MASKS)
    x = np.asarray(features()).reshape(-1, 2, 4) * np.asarray(MASKS[0])
    np.testing.assert_allclose(shared, x.reshape(-1, 8), rtol=1e-5)
    for layer, mask, ours in zip(classifier().hidden, MASKS[1:], (first, second), strict=True):
        x = np.maximum(x.reshape(len(x), -1) @ layer.kernel[...] + layer.bias[...], 0) * mask
        np.testing.assert_allclose(ours, x, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(logits, classifier().last(jnp.asarray(x)), rtol=1e-4, atol=1e-6)
    _, whole = layers(classifier(), features())
    np.testing.assert_allclose(whole, classifier()(features()), rtol=1e-5)


def test_the_lasso_is_its_formula():
    weights = jnp.array([1, 0, 1, 1, 1, 1, 1.0])
    ours = channel_pruning.lasso(classifier(), features(), weights, MASKS, 0.1)
    whole, masked = (layers(classifier(), features(), m) for m in (None, MASKS))
    norms = [
        np.linalg.norm(a - b, axis=1)
        for a, b in zip((*whole[0], whole[1]), (*masked[0], masked[1]), strict=True)
    ]
    expected = 0.1 * sum(np.abs(m).sum() for m in MASKS) + np.average(sum(norms), weights=weights)
    np.testing.assert_allclose(ours, expected, rtol=1e-3)


def test_what_is_left_is_the_classifier_with_the_smaller_masks_at_zero():
    shared = PointwiseConv(np.random.default_rng(0).normal(size=(3, 4)), np.ones(4))
    smaller, pruned = channel_pruning.prune(shared, classifier(), MASKS, 0.5)
    sizes = [layer.kernel.shape for layer in (*pruned.hidden, pruned.last)]
    assert sizes == [(4, 3), (3, 2), (2, 2)] and smaller.kernel.shape == (3, 2)
    best = [np.sort(np.argsort(-np.abs(m))[: round(len(m) / 2)]) for m in MASKS]
    zeroed = tuple(
        jnp.zeros_like(m).at[kept].set(m[kept]) for m, kept in zip(MASKS, best, strict=True)
    )
    image = jax.random.normal(KEY, (7, 1, 2, 3))  # a box is two cells
    seen = jax.nn.relu(shared(image)).reshape(7, 8)
    _, expected = layers(classifier(), seen, zeroed)
    ours = pruned(jax.nn.relu(smaller(image)).reshape(7, 4))
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.full
def test_a_pruned_tracker_follows_with_half_the_channels():
    config = dataclasses.replace(SMALL["meta_rtt"], kept=0.5)
    tracker = MetaRTT.create("learned_rates", config, Tiny())
    images, boxes = video(2)
    state = jax.jit(tracker.init)(frame(images[0]), jnp.asarray(boxes[0]))
    assert state.shared.kernel.shape == (10, 8)
    assert state.classifier.hidden[0].kernel.shape == (9 * 8, 8)
    assert state.positives.samples.features.shape == (4, 8, 9 * 8)
    state, prediction = jax.jit(tracker.step)(state, frame(images[1]))
    assert jnp.isfinite(prediction.box).all() and state.classifier.last.kernel.shape == (8, 2)


@pytest.mark.parametrize(
    ("rule", "changes"), [("gradient_network", {}), ("learned_rates", {"granularity": "parameter"})]
)
def test_a_rule_that_is_made_for_all_channels_is_refused(rule, changes):
    config = dataclasses.replace(SMALL["meta_rtt"], kept=0.5, **changes)
    with pytest.raises(InputError, match="granularity=tensor"):
        MetaRTT.create(rule, config, Tiny())
