"""The outer losses that MetaRTT's tables compare its own with."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from experiments.reproduction.tables.meta_rtt_losses import DomainLoss, PruningLoss
from tests.tracking_tasks.tiny import Tiny
from tests.tracking_tasks.trackers.meta_rtt.episodes import batch
from tests.tracking_tasks.trackers.small import SMALL
from tracking_tasks.trackers.meta_rtt.tracker import MetaRTT


def tracker(**changes):
    return MetaRTT.create(
        "learned_rates", dataclasses.replace(SMALL["meta_rtt"], **changes), Tiny()
    )


def first():
    return jax.tree.map(lambda leaf: leaf[0], batch())


@pytest.mark.full
def test_domains_teach_all_layers_but_the_last():
    episode = first()
    run = jax.jit(jax.value_and_grad(lambda t: DomainLoss()(t, episode), has_aux=True))
    (loss, metrics), gradient = run(tracker())
    assert metrics["inner_loss_final"] < 0.3 and jnp.isfinite(loss)
    assert (gradient.initial.last.kernel[...] == 0).all()
    assert all(jnp.abs(layer.kernel[...]).max() > 0 for layer in gradient.initial.hidden)
    assert jnp.abs(gradient.shared.kernel[...]).max() > 0


@pytest.mark.full
def test_the_network_of_masks_learns_from_an_episode():
    one, episode, losses = tracker(kept=0.5), first(), {}
    for whole in (True, False):
        loss = PruningLoss(whole_episode=whole)
        run = jax.value_and_grad(lambda m, loss=loss: loss(one.replace(masks=m), episode)[0])
        losses[whole], gradient = jax.jit(run)(one.masks)
        leaves = jax.tree.leaves(gradient)
        assert all(jnp.isfinite(leaf).all() and jnp.abs(leaf).max() > 0 for leaf in leaves)
    # The fit to later frames has ten steps, and the test frame counts once more.
    assert losses[True] > 5 * losses[False] > 0
