"""Regression to a sine wave from a few of its points; needs no data."""

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Scalar

from experiments.few_shot.tasks.base import Episode, Samples, Task
from models import MLP

_AMPLITUDES = (0.1, 5.0)
_PHASES = (0.0, jnp.pi)
_INPUTS = (-5.0, 5.0)


class Sinusoid(Task):
    """y = amplitude * sin(x - phase), with x, amplitude and phase uniform.

    Finn et al., "Model-Agnostic Meta-Learning", ICML 2017, section 5.1: amplitudes in [0.1, 5],
    phases in [0, pi], x in [-5, 5], a network with two hidden layers of 40, 25 tasks a step, inner
    rate 0.01. Judged on 100 points, as in Li et al., "Meta-SGD", 2017, section 4.1.

    Attributes:
        shots: points to fit to.
        queries: points of the outer loss in training.
    """

    name = "sinusoid"
    score_name = "mean squared error"
    score_scale = "log"
    inner_steps = 1
    rate = 0.01
    head_scale = 1.0
    episodes = 25
    outer_steps = 70_000
    stride = 100

    shots: int = struct.field(pytree_node=False, default=10)
    queries: int = struct.field(pytree_node=False, default=10)

    @classmethod
    def create(cls, *, shots: int = 10) -> "Sinusoid":
        """With that many points to fit to."""
        return cls(shots=shots)

    @property
    def outputs(self) -> int:
        return 1

    def sample(self, key: Array, *, training: bool) -> Episode:
        draw = lambda key, limits, *shape: jax.random.uniform(key, shape, float, *limits)
        amplitude_key, phase_key, support_key, query_key = jax.random.split(key, 4)
        amplitude, phase = draw(amplitude_key, _AMPLITUDES), draw(phase_key, _PHASES)

        def samples(key: Array, count: int) -> Samples:
            x = draw(key, _INPUTS, count, 1)
            return Samples(x, amplitude * jnp.sin(x - phase))

        queries = self.queries if training else 100
        return Episode(samples(support_key, self.shots), samples(query_key, queries))

    def network(self, key: Array) -> MLP:
        return MLP(1, 1, key=key)

    def loss(self, outputs: Float[Array, "n 1"], targets: Float[Array, "n 1"]) -> Scalar:
        return jnp.mean((outputs - targets) ** 2)

    score = loss

    def encode(self, targets: Float[Array, "n 1"]) -> Float[Array, "n 1"]:
        return targets
