"""What a family of tasks is, and networks that are fitted to samples."""

import abc
import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Float, Int, Key, PyTree, Scalar

_WHOLE = 512  # samples on which a training is judged


class Problem(NamedTuple):
    """One random training.

    Attributes:
        params: its initial inner parameters.
        context: what else is random in it, constant during the training.
    """

    params: PyTree
    context: PyTree


class Family(struct.PyTreeNode):
    """Random problems of one kind; a pytree, whose leaves are the data that they share."""

    @abc.abstractmethod
    def sample(self, key: Key[Array, ""]) -> Problem:
        """A problem."""

    @abc.abstractmethod
    def batch(self, context: PyTree, key: Key[Array, ""]) -> PyTree:
        """The samples of one step."""

    @abc.abstractmethod
    def whole(self, context: PyTree) -> PyTree:
        """The samples on which the training is judged, always the same."""

    @abc.abstractmethod
    def loss(self, params: PyTree, samples: PyTree) -> Scalar:
        """What is minimized."""


class Fitted(Family):
    """A network that is fitted to given samples, a random batch of them a step.

    Attributes:
        inputs: of all samples, roughly within -1 .. 1.
        targets: classes as integers, or numbers to be regressed to.
        units: inputs, hidden units of each layer, outputs.
        batch_size: samples of a step.
        layer_norm: normalize each hidden layer before its ReLU (Ba et al. 2016).
    """

    inputs: Float[Array, "n inputs"]
    targets: Int[Array, " n"] | Float[Array, "n outputs"]
    units: tuple[int, ...] = struct.field(pytree_node=False)
    batch_size: int = struct.field(pytree_node=False, default=64)
    layer_norm: bool = struct.field(pytree_node=False, default=False)

    def sample(self, key: Key[Array, ""]) -> Problem:
        return Problem(initial_layers(key, self.units, layer_norm=self.layer_norm), ())

    def batch(self, context: PyTree, key: Key[Array, ""]) -> PyTree:
        chosen = jax.random.randint(key, (self.batch_size,), 0, len(self.inputs))
        return self.inputs[chosen], self.targets[chosen]

    def whole(self, context: PyTree) -> PyTree:
        # Spread over all: the samples may be sorted by class.
        chosen = jnp.linspace(0, len(self.inputs) - 1, min(_WHOLE, len(self.inputs))).astype(int)
        return self.inputs[chosen], self.targets[chosen]

    def loss(self, params: PyTree, samples: PyTree) -> Scalar:
        inputs, targets = samples
        return error(self.outputs(params, inputs), targets)

    def outputs(self, params: PyTree, inputs: Float[Array, "n inputs"]) -> Float[Array, "n out"]:
        """What the network returns."""
        return apply_layers(params, inputs)


def error(outputs: Float[Array, "n out"], targets: Array) -> Scalar:
    """Cross-entropy in nats of integer targets, mean squared error of others."""
    if jnp.issubdtype(targets.dtype, jnp.integer):
        return optax.softmax_cross_entropy_with_integer_labels(outputs, targets).mean()
    return jnp.mean((outputs - targets) ** 2)


def initial_layers(key: Key[Array, ""], units: Sequence[int], *, layer_norm: bool) -> list[dict]:
    """Kernels uniform within 1 / sqrt(inputs), as PyTorch's; biases of 0; gains of 1."""
    layers = []
    pairs = list(itertools.pairwise(units))
    for index, (inputs, outputs) in enumerate(pairs):
        limit = 1 / math.sqrt(inputs)
        draw = jax.random.uniform(
            jax.random.fold_in(key, index), (inputs, outputs), minval=-limit, maxval=limit
        )
        layer = {"kernel": draw, "bias": jnp.zeros(outputs)}
        if layer_norm and index < len(pairs) - 1:
            layer["gain"] = jnp.ones(outputs)
        layers.append(layer)
    return layers


def apply_layers(layers: list[dict], x: Float[Array, "... inputs"]) -> Float[Array, "... outputs"]:
    """ReLU between the layers; each hidden one that has gains is normalized first."""
    for index, layer in enumerate(layers):
        x = x @ layer["kernel"]
        if "gain" in layer:
            x = jax.nn.standardize(x, axis=-1, epsilon=1e-5) * layer["gain"]
        x = x + layer["bias"]
        if index < len(layers) - 1:
            x = jax.nn.relu(x)
    return x
