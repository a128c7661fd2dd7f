"""What the shipped rule does for networks that it has never seen."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import metaopt
from experiments.few_shot import from_scratch
from experiments.learned_optimizer import evaluation
from experiments.learned_optimizer.tasks import TRAINING, images

ROOT = pathlib.Path(__file__).parents[3]


@pytest.fixture(scope="module")
def rule():
    return metaopt.pretrained("orthogonal_mlp")


def on(rule, steps):
    return rule.replace(steps=jnp.float32(steps))


@pytest.mark.slow
@pytest.mark.parametrize(
    "steps, problems, goal", [(100, 10, 0.0886), (500, 6, 0.0018)], ids=["100", "500"]
)
def test_it_trains_digit_classifiers_further_than_celo(rule, steps, problems, goal):
    """The published weights' losses on the same problems: Celo-Adam's at 100, Celo's at 500."""
    family = from_scratch.AllDigits.create(steps)
    keys = jax.random.split(jax.random.key(7), problems)
    losses = from_scratch.mean_losses(family, on(rule, steps), keys)
    print(f"{steps} steps: {losses[-1]:.5f}")
    assert losses[-1] <= goal


@pytest.mark.slow
@pytest.mark.parametrize("steps", [100, 500])
def test_it_trains_a_network_a_hundred_times_larger(rule, steps):
    size = lambda family: sum(
        leaf.size for leaf in jax.tree.leaves(family.sample(jax.random.key(0)).params)
    )
    family = images.digits((600, 600))
    assert size(family) > 100 * max(size(make()) for make in TRAINING.values())
    keys = jax.random.split(jax.random.key(1), 1)
    curve = np.asarray(evaluation.learned_curves(on(rule, steps), family, keys, steps))[0]
    assert np.isfinite(curve).all() and curve.max() < 1.5 * curve[0]
    assert curve[-1] < 0.05 * curve[0]
