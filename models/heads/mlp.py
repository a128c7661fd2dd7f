"""A multilayer perceptron."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float


class MLP(nnx.Module):
    """Layers of ReLU units; then a linear layer.

    The network of the sinusoid task in Finn et al., "Model-Agnostic Meta-Learning", ICML 2017,
    section 5.1, has two hidden layers of 40. A pytree, as `FewShotClassifier` is.

    Args:
        inputs: numbers in a sample.
        outputs: numbers that are returned for it.
        hidden: units of each hidden layer.
        key: of the random weights: uniform within 1 / sqrt(inputs), as PyTorch's. Biases are 0.
    """

    def __init__(
        self, inputs: int, outputs: int, *, hidden: Sequence[int] = (40, 40), key: Array
    ) -> None:
        *keys, last = jax.random.split(key, len(hidden) + 1)
        layers = []
        for units, key in zip(hidden, keys, strict=True):
            layers.append(_Linear(inputs, units, key))
            inputs = units
        self.hidden = nnx.List(layers)
        self.last = _Linear(inputs, outputs, last)

    def __call__(self, x: Float[Array, "n inputs"]) -> Float[Array, "n outputs"]:
        """The outputs for a batch of samples."""
        return self.last(self.features(x))

    def features(self, x: Float[Array, "n inputs"]) -> Float[Array, "n units"]:
        """What the linear layer sees."""
        for layer in self.hidden:
            x = jax.nn.relu(layer(x))
        return x


class _Linear(nnx.Module):
    def __init__(self, inputs: int, outputs: int, key: Array) -> None:
        limit = 1 / math.sqrt(inputs)
        values = jax.random.uniform(key, (inputs, outputs), minval=-limit, maxval=limit)
        self.kernel = nnx.Param(values)
        self.bias = nnx.Param(jnp.zeros(outputs))

    def __call__(self, x: Float[Array, "n inputs"]) -> Float[Array, "n outputs"]:
        return x @ self.kernel[...] + self.bias[...]
