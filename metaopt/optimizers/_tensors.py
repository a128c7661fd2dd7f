"""What a step sees of each tensor, and what the networks of a learned rule say to it."""

import itertools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Scalar

from metaopt.optimizers._perceptron import Perceptron, silent_perceptron, unless_silent

_MOMENTA = 3
_INPUTS = _MOMENTA + 5  # of the network a coordinate
_FEATURES, _SHARED = 12, 4  # of a tensor, and means of the last of them over all tensors
OUTPUTS = 2 + _MOMENTA - 1  # of the scheduler: two lengths, and the shares of the slower momenta
_HIDDEN, _UNITS = 16, 8  # of the scheduler, and of the network a coordinate
TINY = 1e-30

Coordinates = Float[Array, " coordinates"]


class Observed(NamedTuple):
    """What one step sees of a tensor.

    Attributes:
        params: relative to its scale.
        gradient: zero where it always was zero, as a constant.
        momenta: of the gradient, free of bias.
        deviation: the root of the mean of its squares, likewise.
        direction: Adam's, with Nesterov's look-ahead.
    """

    params: Float[Array, "rows columns"]
    gradient: Float[Array, "rows columns"]
    momenta: Float[Array, "momenta rows columns"]
    deviation: Float[Array, "rows columns"]
    direction: Float[Array, "rows columns"]


def silent_scheduler(key: Array) -> Perceptron:
    """One that has not been trained."""
    return silent_perceptron(key, _FEATURES + _SHARED, _HIDDEN, OUTPUTS)


def silent_network(key: Array) -> Perceptron:
    """Likewise of a coordinate."""
    return silent_perceptron(key, _INPUTS, _UNITS, 1)


@unless_silent
def scheduled(
    scheduler: Perceptron,
    tensors: list[Observed],
    kinds: Int[Array, " tensors"],
    times: Float[Array, " times"],
    memory: Float[Array, "memory tensors"],
) -> Float[Array, "tensors outputs"]:
    """What the scheduler says to each tensor.

    Args:
        scheduler: that speaks.
        tensors: to each of which it does.
        kinds: 1 for a tensor of two axes or more, else 0.
        times: how far the training is, and how long.
        memory: what is remembered of each tensor's gradients, numbers within -1 .. 1 or so.
    """
    own = jnp.stack([_features(seen) for seen in tensors])
    every = jnp.broadcast_to(times, (len(tensors), len(times)))
    features = jnp.concatenate([every, kinds[:, None], own, memory.T], 1)
    shared = jnp.broadcast_to(features[:, -_SHARED:].mean(0), (len(tensors), _SHARED))
    (kernel, bias), (last_kernel, last_bias) = scheduler
    hidden = jnp.tanh(jnp.concatenate([features, shared], 1) @ kernel.T + bias)
    return hidden @ last_kernel.T + last_bias


@unless_silent
def corrected(network: Perceptron, tensors: list[Observed]) -> list[Float[Array, "_ _"]]:
    """What the network adds to the direction of each tensor.

    Written unit by unit the network is one loop over the coordinates of all tensors, whose inputs
    are made in passing; as matrix products it would write all units to memory first.
    """
    inputs = [jnp.concatenate(rows) for rows in zip(*map(_inputs, tensors), strict=True)]
    (kernel, bias), (last_kernel, last_bias) = network
    correction = jnp.broadcast_to(last_bias[0], inputs[0].shape)
    for unit in range(len(bias)):
        inner = sum(kernel[unit, index] * row for index, row in enumerate(inputs))
        correction += last_kernel[0, unit] * jax.nn.relu(inner + bias[unit])
    ends = list(itertools.accumulate(seen.params.size for seen in tensors))[:-1]
    parts = zip(jnp.split(correction, ends), tensors, strict=True)
    return [part.reshape(seen.params.shape) for part, seen in parts]


def _inputs(seen: Observed) -> list[Coordinates]:
    """The network's inputs of a tensor, one for each of its coordinates."""
    momenta, gradient = seen.momenta / seen.deviation, seen.gradient / seen.deviation
    log_ratio = _log_ratio(seen.deviation)
    ratio = jnp.exp(log_ratio)
    found = [*momenta, gradient, momenta[1] * ratio, gradient * ratio, log_ratio, seen.params]
    return [x.reshape(-1) for x in found]


def _features(seen: Observed) -> Float[Array, " features"]:
    """The scheduler's inputs of a tensor's own; each within -2 .. 2 or so.

    The last tells signal from noise: it is near 0 where gradients agree, and negative elsewhere.
    All of them cost one more reading of the parameters: a training's step has the direction anyway.
    """
    rows, columns = seen.params.shape
    return jnp.stack(
        [
            jnp.float32(math.log(rows) / 8),
            jnp.float32(math.log(columns) / 8),
            jnp.log(rms(seen.params) + 1e-3) / 2,
            jnp.log(rms(seen.direction) + 1e-3) / 2,
        ]
    )


def as_matrix(leaf: Array) -> Float[Array, "rows columns"]:
    """All axes but the last as one; what has a single axis, or none, is a column."""
    return leaf.reshape(-1, leaf.shape[-1] if leaf.ndim > 1 else 1)


def _log_ratio(deviation: Float[Array, "_ _"]) -> Float[Array, "_ _"]:
    """The deviation relative to that of its rows times columns, as in Adafactor (2018).

    Of logarithms, whose derivatives stay small where a row and a column are near 0.
    """
    squares = (deviation / rms(deviation)) ** 2
    sides = jnp.log(squares.mean(0)) + jnp.log(squares.mean(1, keepdims=True))
    return (jnp.log(squares) - sides + jnp.log(squares.mean())) / 2


def rms(x: Array) -> Scalar:
    return jnp.sqrt(jnp.vdot(x, x) / x.size + TINY)  # vdot is several times faster than a mean


def cosine(x: Array, y: Array) -> Scalar:
    return jnp.vdot(x / rms(x), y / rms(y)) / x.size
