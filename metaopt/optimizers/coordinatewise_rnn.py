"""A small recurrent network that every coordinate shares: the rule of ROAM and of its ancestor."""

import itertools
import math
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from metaopt._objectives import Objective
from metaopt._pytree import Pytree, static
from metaopt.optimizers._base import InnerOptimizer, register

# Features come first and coordinates last throughout: gates are then contiguous blocks, which
# halves the time of a step on the CPU.
Rows = Float[Array, "_ coordinates"]
Memory = tuple[Rows, ...]

_INPUTS = 5


class Layer(Pytree):
    """Attributes: kernel, from the inputs and the previous output to the gates; and bias."""

    kernel: Float[Array, "gates inputs_and_outputs"]
    bias: Float[Array, " gates"]

    def __call__(self, *inputs: Rows) -> Rows:
        """One matrix product for all coordinates and gates."""
        return self.kernel @ jnp.concatenate(inputs) + self.bias[:, None]


def _lstm(layer: Layer, inputs: Rows, memory: Memory) -> tuple[Rows, Memory]:
    output, cell = memory
    i, f, g, o = jnp.split(layer(inputs, output), 4)
    cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
    output = jax.nn.sigmoid(o) * jnp.tanh(cell)
    return output, (output, cell)


def _gru(layer: Layer, inputs: Rows, memory: Memory) -> tuple[Rows, Memory]:
    (output,) = memory
    size = len(output)
    gates = Layer(layer.kernel[: 2 * size], layer.bias[: 2 * size])
    reset, keep = jnp.split(jax.nn.sigmoid(gates(inputs, output)), 2)
    candidate = Layer(layer.kernel[2 * size :], layer.bias[2 * size :])
    output = keep * output + (1 - keep) * jnp.tanh(candidate(inputs, reset * output))
    return output, (output,)


def _mlp(layer: Layer, inputs: Rows, memory: Memory) -> tuple[Rows, Memory]:
    return jnp.tanh(layer(inputs)), memory


class Cell(NamedTuple):
    """A layer's formula, its number of gates, and of arrays that it remembers."""

    apply: Callable[[Layer, Rows, Memory], tuple[Rows, Memory]]
    gates: int
    memories: int


CELLS = {"lstm": Cell(_lstm, 4, 2), "gru": Cell(_gru, 3, 1), "mlp": Cell(_mlp, 1, 0)}


class CoordinatewiseState(Pytree):
    """The state of `CoordinatewiseRNN`.

    Attributes:
        count: the number of steps taken.
        emitted: the rate (or update) of each coordinate at the last step; at first the initial one.
        memory: what each layer remembers of each coordinate.
    """

    count: Int[Array, ""]
    emitted: Float[Array, " coordinates"]
    memory: tuple[Memory, ...]


class CoordinatewiseRNN(InnerOptimizer):
    """Emits a bounded rate for every coordinate, at every step, by one small recurrent network.

        inputs  = (previous rate / scale, log-preprocessed gradient (2), parameter, loss)
        rates   = scale * sigmoid(w' network(inputs) + bias)
        params <- params - rates * gradient

    The first step takes the learned `initial_rates` instead, and leaves the network at rest (Yang
    et al., "ROAM: Recurrently Optimizing Tracking Model", CVPR 2020, eqs. 9 to 11 and Algorithm 1;
    the log preprocessing, from Andrychowicz et al., is their published code's). The weights are
    shared by all coordinates of all leaves, so one rule serves params of any shapes: where the
    initial rates are of others, as those of a rule made by name for a smaller network, the first
    step takes their mean for every coordinate.

    With `output="update"` the network emits the step itself (Andrychowicz et al., "Learning to
    learn by gradient descent by gradient descent", NeurIPS 2016, eq. 3), from the first step on and
    with the previous update in place of the previous rate; their own input is the gradient alone.

        params <- params + scale * w' network(inputs)

    The weights start as PyTorch's do, uniform within 1 / sqrt(size). "lstm" is the cell of
    Hochreiter and Schmidhuber with a forget gate, "gru" that of Cho et al. 2014 (eqs. 5 to 8),
    "mlp" a tanh layer that remembers nothing.

    Args:
        cell: "lstm", "gru" or "mlp".
        output: "rate" or "update".
        size: outputs of a layer.
        layers: number of layers.
        scale: the upper bound of the rates, or the factor on the updates.
        initial_rates: the rates of the first step: a scalar, or a pytree like the params (or a
            prefix of it) whose leaves broadcast to theirs. By default what the output starts from.
        bias: from which the output of "rate" starts; the rate is then about scale * sigmoid(bias).
        key: of the random initial weights.

    Attributes:
        log_scale: logarithm of `scale`.
        initial_rates: as above; None for "update".
        stack: the layers, first to last.
        head: from the last layer's outputs to what is emitted.

    Raises:
        ValueError: if `cell` or `output` is unknown.
    """

    reads_magnitudes: ClassVar[bool] = True
    reads_loss: ClassVar[bool] = True

    log_scale: Float[Array, ""]
    initial_rates: PyTree
    stack: tuple[Layer, ...]
    head: Layer
    cell: str = static()
    output: str = static()

    def __init__(
        self,
        cell: str = "lstm",
        *,
        output: str = "rate",
        size: int = 20,
        layers: int = 2,
        scale: float = 1.0,
        initial_rates: PyTree = None,
        bias: float = -10.0,
        key: Array | None = None,
    ) -> None:
        if cell not in CELLS:
            raise ValueError(f"unknown cell {cell!r}; known are {', '.join(CELLS)}.")
        if output not in ("rate", "update"):
            raise ValueError(f"unknown output {output!r}; known are rate, update.")
        keys = iter(jax.random.split(jax.random.key(0) if key is None else key, layers + 1))
        gates = CELLS[cell].gates * size
        recurrent = size if CELLS[cell].memories else 0
        stack = tuple(
            _random_layer(next(keys), gates, inputs + recurrent, 1 / math.sqrt(size))
            for inputs in [_INPUTS] + [size] * (layers - 1)
        )
        head = _random_layer(next(keys), 1, size, 1 / math.sqrt(size))
        if output == "update":
            initial_rates, bias = None, 0.0
        elif initial_rates is None:
            initial_rates = scale * jax.nn.sigmoid(bias)
        self._set(
            log_scale=jnp.log(jnp.asarray(scale, float)),
            initial_rates=jax.tree.map(lambda rate: jnp.asarray(rate, float), initial_rates),
            stack=stack,
            head=head.replace(bias=jnp.full((1,), bias, float)),
            cell=cell,
            output=output,
        )

    def init(self, params: PyTree) -> CoordinatewiseState:
        emitted = _rows(self._first_rates(params), self.log_scale.dtype)
        rest = jnp.zeros((self.head.kernel.shape[1], len(emitted)), emitted.dtype)
        memory = (rest,) * CELLS[self.cell].memories
        return CoordinatewiseState(jnp.zeros((), jnp.int32), emitted, (memory,) * len(self.stack))

    def _first_rates(self, params: PyTree) -> PyTree:
        """The initial rates of all coordinates, like the params; zeros for "update"."""
        initial = 0.0 if self.initial_rates is None else self.initial_rates
        try:
            rates = jax.tree.broadcast(initial, params)
            return jax.tree.map(lambda rate, p: jnp.broadcast_to(rate, p.shape), rates, params)
        except ValueError:  # of another structure, or of other shapes
            mean = jnp.concatenate([jnp.ravel(rate) for rate in jax.tree.leaves(initial)]).mean()
            return jax.tree.map(lambda p: jnp.broadcast_to(mean, p.shape), params)

    def step(
        self, objective: Objective, params: PyTree, state: CoordinatewiseState, batch: PyTree
    ) -> tuple[PyTree, CoordinatewiseState]:
        value, slopes = objective.value_and_gradient(params, batch)
        gradient, flat = (_rows(tree, state.emitted.dtype) for tree in (slopes, params))
        loss = jnp.broadcast_to(value, flat.shape)
        scale = jnp.exp(self.log_scale)

        def emit() -> tuple[Float[Array, " coordinates"], tuple[Memory, ...]]:
            previous = state.emitted / scale
            inputs = jnp.stack([previous, *log_preprocess(gradient), flat, loss.astype(flat.dtype)])
            raw, memory = self.network(inputs, state.memory)
            return scale * (jax.nn.sigmoid(raw) if self.output == "rate" else raw), memory

        if self.output == "rate":
            first = lambda: (state.emitted, state.memory)
            emitted, memory = jax.lax.cond(state.count == 0, first, emit)
            params = _add(params, -emitted * gradient)
        else:
            emitted, memory = emit()
            params = _add(params, emitted)
        return params, CoordinatewiseState(state.count + 1, emitted, memory)

    def network(
        self, inputs: Float[Array, "5 coordinates"], memory: tuple[Memory, ...]
    ) -> tuple[Float[Array, " coordinates"], tuple[Memory, ...]]:
        """What the network emits before it is bounded, and its new memory."""
        new = []
        for layer, remembered in zip(self.stack, memory, strict=True):
            inputs, remembered = CELLS[self.cell].apply(layer, inputs, remembered)
            new.append(remembered)
        return self.head(inputs)[0], tuple(new)


def log_preprocess(
    gradient: Float[Array, " coordinates"],
) -> tuple[Float[Array, " coordinates"], Float[Array, " coordinates"]]:
    """Magnitude and sign of a gradient, each within [-1, 1] or so over many orders of magnitude.

    (log(|g| + 1e-6) / 10, sign g) where |g| > e^-10, else (-1, e^10 g): Andrychowicz et al. 2016,
    appendix A with p = 10, and the 1e-6 of ROAM's published code.
    """
    magnitude = jnp.abs(gradient)
    large = magnitude > math.exp(-10)
    first = jnp.where(large, jnp.log(magnitude + 1e-6) / 10, -1.0)
    return first, jnp.where(large, jnp.sign(gradient), math.exp(10) * gradient)


def _random_layer(key: Array, gates: int, inputs: int, limit: float) -> Layer:
    """Weights and bias uniform within the limit."""
    values = jax.random.uniform(key, (gates, inputs + 1), minval=-limit, maxval=limit)
    return Layer(values[:, :-1], values[:, -1])


def _rows(tree: PyTree, dtype: jnp.dtype) -> Float[Array, " coordinates"]:
    """All coordinates of all leaves in one vector."""
    return jnp.concatenate([leaf.reshape(-1).astype(dtype) for leaf in jax.tree.leaves(tree)])


def _add(params: PyTree, change: Float[Array, " coordinates"]) -> PyTree:
    """`params + change`, the change given as one vector; every leaf keeps its dtype."""
    leaves, structure = jax.tree.flatten(params)
    ends = list(itertools.accumulate(leaf.size for leaf in leaves))[:-1]
    parts = jnp.split(change, ends)
    moved = [p + d.reshape(p.shape).astype(p.dtype) for p, d in zip(leaves, parts, strict=True)]
    return jax.tree.unflatten(structure, moved)


def _untrained(cell: str, params: PyTree, rate: float) -> CoordinatewiseRNN:
    """Starts as gradient descent at about the rate, with room to grow it tenfold."""
    initial = jax.tree.map(lambda p: jnp.full(p.shape, rate), params)
    bias = math.log(0.1 / 0.9)
    return CoordinatewiseRNN(cell, scale=10 * rate, initial_rates=initial, bias=bias)


@register("lstm")
def _lstm_rule(params: PyTree, *, steps: int, rate: float) -> CoordinatewiseRNN:
    return _untrained("lstm", params, rate)


@register("gru")
def _gru_rule(params: PyTree, *, steps: int, rate: float) -> CoordinatewiseRNN:
    return _untrained("gru", params, rate)


@register("mlp")
def _mlp_rule(params: PyTree, *, steps: int, rate: float) -> CoordinatewiseRNN:
    return _untrained("mlp", params, rate)
