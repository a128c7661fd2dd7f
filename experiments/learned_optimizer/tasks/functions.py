"""Functions that are known in closed form: curves to be fitted, valleys to be descended."""

import abc

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


class Curves(Family):
    """A random network is fitted to a random function of one variable, 20 fresh points a step.

    Attributes:
        hidden: units of each hidden layer.
    """

    hidden: tuple[int, ...] = struct.field(pytree_node=False, default=(40, 40))

    @abc.abstractmethod
    def draw(self, keys: Key[Array, "2"]) -> PyTree:
        """A random function's numbers."""

    @abc.abstractmethod
    def curve(self, numbers: PyTree, x: Float[Array, "n 1"]) -> Float[Array, "n 1"]:
        """The function, on -5 .. 5."""

    def sample(self, key: Key[Array, ""]) -> Problem:
        keys = jax.random.split(key, 3)
        layers = initial_layers(keys[2], (1, *self.hidden, 1), layer_norm=False)
        return Problem(layers, self.draw(keys[:2]))

    def batch(self, context: PyTree, key: Key[Array, ""]) -> PyTree:
        x = jax.random.uniform(key, (20, 1), minval=-5, maxval=5)
        return x, self.curve(context, x)

    def whole(self, context: PyTree) -> PyTree:
        x = jnp.linspace(-5, 5, 200)[:, None]
        return x, self.curve(context, x)

    def loss(self, params: PyTree, samples: PyTree) -> Scalar:
        inputs, targets = samples
        return error(apply_layers(params, inputs), targets)


class SineWaves(Curves):
    """The waves of Finn et al., "Model-Agnostic Meta-Learning", ICML 2017, section 5.1."""

    def draw(self, keys: Key[Array, "2"]) -> PyTree:
        amplitude = jax.random.uniform(keys[0], minval=0.1, maxval=5.0)
        return amplitude, jax.random.uniform(keys[1], maxval=jnp.pi)

    def curve(self, numbers: PyTree, x: Float[Array, "n 1"]) -> Float[Array, "n 1"]:
        amplitude, phase = numbers
        return amplitude * jnp.sin(x - phase)


class Bumps(Curves):
    """Sums of four Gaussian functions, of standard deviation 0.5 to 1.5, up or down."""

    def draw(self, keys: Key[Array, "2"]) -> PyTree:
        heights = 2 * jax.random.normal(keys[0], (4,))
        places, widths = jax.random.uniform(keys[1], (2, 4))
        return heights, 10 * places - 5, 0.5 + widths

    def curve(self, numbers: PyTree, x: Float[Array, "n 1"]) -> Float[Array, "n 1"]:
        heights, places, widths = numbers
        each = heights * jnp.exp(-(((x - places) / widths) ** 2) / 2)
        return each.sum(1, keepdims=True)


class Valley(Family):
    """A function of a vector, without noise, from a random start.

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


class Rosenbrock(Valley):
    """That of Rosenbrock 1960: sum_i 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2."""

    def loss(self, params: PyTree, samples: PyTree) -> Scalar:
        before, after = params[:-1], params[1:]
        return jnp.sum(100 * (after - before**2) ** 2 + (1 - before) ** 2)


class DixonPrice(Valley):
    """That of Dixon and Price 1989: (x_1 - 1)^2 + sum_i i (2 x_i^2 - x_{i-1})^2, i from 2."""

    def loss(self, params: PyTree, samples: PyTree) -> Scalar:
        before, after = params[:-1], params[1:]
        weights = jnp.arange(2, self.dimensions + 1)
        return (params[0] - 1) ** 2 + jnp.sum(weights * (2 * after**2 - before) ** 2)


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
