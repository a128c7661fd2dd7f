"""Functions that are known in closed form: sine waves to be fitted, a valley to be descended."""

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Key, PyTree, Scalar

from experiments.learned_optimizer.tasks.base import (
    Family,
    Problem,
    apply_layers,
    error,
    initial_layers,
)


class SineWaves(Family):
    """A random network is fitted to a random sine wave, 20 fresh points a step.

    The waves of Finn et al., "Model-Agnostic Meta-Learning", ICML 2017, section 5.1.

    Attributes:
        hidden: units of each hidden layer.
    """

    hidden: tuple[int, ...] = struct.field(pytree_node=False, default=(40, 40))

    def sample(self, key: Key[Array, ""]) -> Problem:
        keys = jax.random.split(key, 3)
        amplitude = jax.random.uniform(keys[0], minval=0.1, maxval=5.0)
        phase = jax.random.uniform(keys[1], maxval=jnp.pi)
        layers = initial_layers(keys[2], (1, *self.hidden, 1), layer_norm=False)
        return Problem(layers, (amplitude, phase))

    def batch(self, context: PyTree, key: Key[Array, ""]) -> PyTree:
        return self._points(context, jax.random.uniform(key, (20, 1), minval=-5, maxval=5))

    def whole(self, context: PyTree) -> PyTree:
        return self._points(context, jnp.linspace(-5, 5, 200)[:, None])

    def loss(self, params: PyTree, samples: PyTree) -> Scalar:
        inputs, targets = samples
        return error(apply_layers(params, inputs), targets)

    def _points(self, context: PyTree, x: Float[Array, "n 1"]) -> tuple[Array, Array]:
        amplitude, phase = context
        return x, amplitude * jnp.sin(x - phase)


class Rosenbrock(Family):
    """The valley of Rosenbrock 1960 in many dimensions, from a random start.

    sum_i 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2; no noise.

    Attributes:
        dimensions: 2 or more.
    """

    dimensions: int = struct.field(pytree_node=False, default=10)

    def sample(self, key: Key[Array, ""]) -> Problem:
        return Problem(jax.random.normal(key, (self.dimensions,)), ())

    def batch(self, context: PyTree, key: Key[Array, ""]) -> PyTree:
        return ()

    def whole(self, context: PyTree) -> PyTree:
        return ()

    def loss(self, params: PyTree, samples: PyTree) -> Scalar:
        before, after = params[:-1], params[1:]
        return jnp.sum(100 * (after - before**2) ** 2 + (1 - before) ** 2)


class Quadratics(Family):
    """Noisy least squares: a random ill-conditioned matrix, 16 of its rows a step.

    Attributes:
        rows: of the matrix.
        shape: of the params, a matrix.
        condition: ratio of the largest to the smallest scale of a column.
        noise: standard deviation of the targets beside what can be fitted.
    """

    rows: int = struct.field(pytree_node=False, default=64)
    shape: tuple[int, int] = struct.field(pytree_node=False, default=(16, 8))
    condition: float = struct.field(pytree_node=False, default=30.0)
    noise: float = struct.field(pytree_node=False, default=0.01)

    def sample(self, key: Key[Array, ""]) -> Problem:
        keys = jax.random.split(key, 4)
        scales = jnp.geomspace(1 / self.condition, 1, self.shape[0])
        inputs = jax.random.normal(keys[0], (self.rows, self.shape[0])) * scales
        best = jax.random.normal(keys[1], self.shape)
        noise = self.noise * jax.random.normal(keys[2], (self.rows, self.shape[1]))
        start = jax.random.normal(keys[3], self.shape)
        return Problem(start, (inputs, inputs @ best + noise))

    def batch(self, context: PyTree, key: Key[Array, ""]) -> PyTree:
        chosen = jax.random.randint(key, (16,), 0, self.rows)
        return jax.tree.map(lambda leaf: leaf[chosen], context)

    def whole(self, context: PyTree) -> PyTree:
        return context

    def loss(self, params: PyTree, samples: PyTree) -> Scalar:
        inputs, targets = samples
        return error(inputs @ params, targets)
