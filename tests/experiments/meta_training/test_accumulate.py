"""Outer steps whose mean gradient makes one update."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from experiments import train
from experiments.meta_training import training
from tests.tracking_tasks.tiny import make

GRADIENTS = jnp.array([[1.0, 0.0], [0.0, 0.5], [-1.0, 2.0], [3.0, 1.0]])
CONFIG = training.TrainingConfig(outer_steps=4, episodes=1, accumulate=2)


class Linear(struct.PyTreeNode):
    """A tracker whose outer gradient is its episode."""

    params: jax.Array
    name: ClassVar[str] = "linear"

    def mix(self, episodes: Any) -> Any:
        return episodes

    def outer_loss(self, episode: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        return self.params @ episode, {}


def trained(gradients, config):
    batches = lambda index: gradients[index][None]
    return np.asarray(training.train(Linear(jnp.zeros(2)), batches, config).params)


def test_two_steps_make_the_update_of_one_on_their_mean_gradient():
    means = GRADIENTS.reshape(2, 2, 2).mean(1)
    once = dataclasses.replace(CONFIG, outer_steps=2, accumulate=1)
    expected = trained(means, once)
    np.testing.assert_allclose(trained(GRADIENTS, CONFIG), expected, rtol=1e-5)
    assert np.abs(expected).min() > 1e-4


def test_the_flag_reaches_the_outer_loop():
    train.FLAGS.unparse_flags()
    train.FLAGS(["train", "--output_dir=unused", "--accumulate=3"])
    assert train._config(make()).accumulate == 3
