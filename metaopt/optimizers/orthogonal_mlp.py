"""A learned optimizer for any network: a perceptron a coordinate, a scheduler a tensor."""

import itertools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree, Scalar

from metaopt._objectives import Objective
from metaopt._pytree import Pytree
from metaopt.optimizers._base import InnerOptimizer, register

_DECAYS = (0.9, 0.99, 0.999)  # of the momenta at first
_INPUTS = len(_DECAYS) + 5  # of the network a coordinate
_CONTEXT = 2  # numbers that the scheduler hands to it
_FEATURES, _SHARED = 14, 4  # of a tensor, and means of the last of them over all tensors
_OUTPUTS = 2 + _CONTEXT
_HIDDEN, _UNITS = 16, 8  # of the scheduler, and of the network a coordinate
_TINY = 1e-30

Perceptron = tuple[tuple[Array, Array], tuple[Array, Array]]  # kernel and bias of two layers
Coordinates = Float[Array, " coordinates"]
Shape = tuple[int, ...]
Shapes = list[Shape]


class OrthogonalMLPState(Pytree):
    """The state of `OrthogonalMLP`, in the precision of the rule.

    Attributes:
        count: the number of steps taken.
        momenta: means of the gradient at three decays, fastest first.
        squares: mean of its square.
        log_norms: of each tensor, means of the logarithm of the gradient's root mean square: a
            fast and a slow one.
        scales: of each tensor, the root mean square of its parameters at first: the unit of its
            steps.
    """

    count: Int[Array, ""]
    momenta: Float[Array, "momenta coordinates"]
    squares: Coordinates
    log_norms: Float[Array, "2 tensors"]
    scales: Float[Array, " tensors"]


class _Observed(NamedTuple):
    """What one step sees: of all tensors (then coordinates are in one row), or of one."""

    params: Coordinates
    gradient: Coordinates
    momenta: Float[Array, "momenta coordinates"]
    deviation: Coordinates


class OrthogonalMLP(InnerOptimizer):
    """Trains any network for a known number of steps, with no rate to tune.

    A small network that all coordinates share corrects Adam's direction with Nesterov's look-ahead,

        d = .9 m1 / sqrt(v) + .1 g / sqrt(v) + network(m1, m2, m3, g, each / sqrt(v); ...)

    and a scheduler that all tensors share chooses how far each tensor follows it at each step,

        params <- params - (1 - t / steps) s (exp(a) orthogonal(d) + exp(b) d / sqrt(1 + rms(d)^2))

    s is the root mean square of the tensor's initial values, so that parameters of any scale move
    alike. (a, b) and a context for the network are the scheduler's outputs: a perceptron of what is
    known of a tensor (how far the training is and how long it will be; momenta relative to
    deviations, which tell signal from noise; whether momenta agree; whether gradients grow; the
    shape). All inputs are ratios: scaling the loss, or all parameters, changes nothing. Tensors of
    two axes or more have the orthogonal part; their leading axes count as one.

    Untrained, the networks' last layers are zero: a and b are constants. Decays, iterations and the
    straight descent to rest were chosen by hand on classifiers of digits and of patches of
    photographs and on autoencoders of these. The features are those of
    VeLO (Metz et al. 2022, arXiv:2211.09760) and of Celo2 (arXiv:2602.19142), as is the orthogonal
    part, which is Jordan et al.'s, "Muon", 2024.

    Args:
        steps: of the training, above 0. The rule comes to rest there: steps beyond move nothing.
        rate: of the untrained rule, relative to the parameters' scale.
        key: of the random initial weights.

    Attributes:
        steps: as above; no meta-parameter, but free to change from training to training.
        momentum_logits: decays of the momenta are their sigmoids.
        square_logit: likewise of the squares.
        base: the scheduler's outputs at first, of tensors of fewer than two axes and of others.
        scheduler: kernels and biases of its two layers.
        network: likewise of the network a coordinate.
    """

    steps: Float[Array, ""]
    momentum_logits: Float[Array, " momenta"]
    square_logit: Float[Array, ""]
    base: Float[Array, "2 outputs"]
    scheduler: Perceptron
    network: Perceptron

    def __init__(
        self, steps: float | Array, *, rate: float = 0.2, key: Array | None = None
    ) -> None:
        keys = jax.random.split(jax.random.key(0) if key is None else key)
        quiet, moving = math.log(rate / 10), math.log(rate)
        base = jnp.zeros((2, _OUTPUTS)).at[:, :2].set([[-20.0, moving + 1.0], [moving, quiet]])
        self._set(
            steps=jnp.asarray(steps, float),
            momentum_logits=jax.scipy.special.logit(jnp.array(_DECAYS)),
            square_logit=jax.scipy.special.logit(jnp.array(0.99)),
            base=base,
            scheduler=_perceptron(keys[0], _FEATURES + _SHARED, _HIDDEN, _OUTPUTS),
            network=_perceptron(keys[1], _INPUTS + _CONTEXT, _UNITS, 1),
        )

    def init(self, params: PyTree) -> OrthogonalMLPState:
        dtype = self.base.dtype
        leaves = [leaf.astype(dtype) for leaf in jax.tree.leaves(params)]
        matrices = [leaf for leaf in leaves if leaf.ndim > 1] or leaves
        common = _rms(jnp.concatenate([leaf.reshape(-1) for leaf in matrices]))
        common = jnp.where(common < 1e-10, 0.1, common)  # zeros alone tell no scale
        scales = jnp.stack([_rms(leaf) for leaf in leaves])
        size = sum(leaf.size for leaf in leaves)
        return OrthogonalMLPState(
            count=jnp.zeros((), jnp.int32),
            momenta=jnp.zeros((len(_DECAYS), size), dtype),
            squares=jnp.zeros(size, dtype),
            log_norms=jnp.zeros((2, len(leaves)), dtype),
            scales=jnp.where(scales < common / 100, common, scales),
        )

    def step(
        self, objective: Objective, params: PyTree, state: OrthogonalMLPState, batch: PyTree
    ) -> tuple[PyTree, OrthogonalMLPState]:
        leaves, structure = jax.tree.flatten(params)
        shapes = [leaf.shape for leaf in leaves]
        gradients = jax.tree.leaves(objective.gradient(params, batch))
        row = lambda tensors: _in_a_row(tensors, self.base.dtype)
        state, seen = self._observe(row(leaves), row(gradients), state, shapes)
        outputs = self._schedule(seen, state, shapes)
        directions = self._directions(seen, outputs, shapes)
        left = jnp.maximum(1 - (state.count - 1) / self.steps, 0)
        moved = []
        for index, (leaf, direction) in enumerate(zip(leaves, directions, strict=True)):
            far, near = jnp.exp(outputs[index, :2])
            change = near * direction / jnp.sqrt(1 + jnp.mean(direction**2))
            if leaf.ndim > 1:
                change += far * orthogonal(direction)
            change *= left * state.scales[index]
            moved.append(leaf - change.reshape(leaf.shape).astype(leaf.dtype))
        return jax.tree.unflatten(structure, moved), state

    def _observe(
        self, params: Coordinates, gradient: Coordinates, state: OrthogonalMLPState, shapes: Shapes
    ) -> tuple[OrthogonalMLPState, _Observed]:
        """Takes the gradient into the memory; all means are free of the bias of starting at 0."""
        # Where it always was zero a direction has no derivative: it is a constant there.
        never = (state.squares == 0) & (gradient == 0)
        gradient = jnp.where(never, jax.lax.stop_gradient(gradient), gradient)
        decays, decay = jax.nn.sigmoid(self.momentum_logits), jax.nn.sigmoid(self.square_logit)
        momenta = state.momenta + (1 - decays)[:, None] * (gradient - state.momenta)
        squares = state.squares + (1 - decay) * (gradient**2 - state.squares)
        count = state.count + 1
        log_norms = jnp.stack([jnp.log(_rms(g)) for g in _apart(gradient, shapes)])
        rates = jnp.maximum(1 / count, jnp.array([[0.1], [0.01]])).astype(gradient.dtype)
        second = squares / (1 - decay**count)
        floors = jnp.stack([1e-10 * v.mean() + _TINY for v in _apart(second, shapes)])
        seen = _Observed(
            params=params / _spread(state.scales, shapes),
            gradient=gradient,
            momenta=momenta / (1 - decays**count)[:, None],
            deviation=jnp.sqrt(second + _spread(floors, shapes)),
        )
        log_norms = state.log_norms + rates * (log_norms - state.log_norms)
        return OrthogonalMLPState(count, momenta, squares, log_norms, state.scales), seen

    def _schedule(
        self, seen: _Observed, state: OrthogonalMLPState, shapes: Shapes
    ) -> Float[Array, "tensors outputs"]:
        """What the scheduler says to each tensor."""
        fields = [_apart(field, shapes) for field in seen]
        tensors = [_Observed(*parts) for parts in zip(*fields, strict=True)]
        done = jnp.minimum((state.count - 1) / self.steps, 1)
        time = [done, done**2, jnp.log(state.count) / 8, jnp.log(self.steps) / 8]
        trends = jnp.tanh(state.log_norms[0] - state.log_norms[1])
        rows = [
            jnp.array([*time, *_features(shape, tensor), trend])
            for shape, tensor, trend in zip(shapes, tensors, trends, strict=True)
        ]
        features = jnp.stack(rows)
        shared = jnp.broadcast_to(features[:, -_SHARED:].mean(0), (len(shapes), _SHARED))
        kinds = jnp.array([int(len(shape) > 1) for shape in shapes])
        (kernel, bias), (last_kernel, last_bias) = self.scheduler
        hidden = jnp.tanh(jnp.concatenate([features, shared], 1) @ kernel.T + bias)
        return self.base[kinds] + hidden @ last_kernel.T + last_bias

    def _directions(
        self, seen: _Observed, outputs: Float[Array, "tensors outputs"], shapes: Shapes
    ) -> list[Float[Array, "rows columns"]]:
        """Adam's direction with the network's correction, a matrix for each tensor.

        Written unit by unit the network is one loop over the coordinates, whose inputs are made in
        passing; as matrix products it would write them all to memory first.
        """
        momenta, gradient = seen.momenta / seen.deviation, seen.gradient / seen.deviation
        ratio = jnp.concatenate(list(map(_to_factored, _apart(seen.deviation, shapes), shapes)))
        contexts = [_spread(context, shapes) for context in outputs[:, 2:].T]
        inputs = [*momenta, gradient, momenta[1] * ratio, gradient * ratio, jnp.log(ratio)]
        inputs += [seen.params, *contexts]
        (kernel, bias), (last_kernel, last_bias) = self.network
        direction = 0.9 * momenta[0] + 0.1 * gradient + last_bias[0]
        for unit in range(len(bias)):
            inner = sum(kernel[unit, index] * row for index, row in enumerate(inputs))
            direction += last_kernel[0, unit] * jax.nn.relu(inner + bias[unit])
        parts = zip(_apart(direction, shapes), shapes, strict=True)
        return [part.reshape(_rows_and_columns(shape)) for part, shape in parts]


def _features(shape: Shape, tensor: _Observed) -> list[Array | float]:
    """The scheduler's inputs of a tensor's own; each within -2 .. 2 or so."""
    rows, columns = _rows_and_columns(shape)
    ratios = jnp.log(_rms(tensor.momenta / tensor.deviation, axis=1) + 1e-3) / 2
    return [
        float(len(shape) > 1),
        math.log(rows) / 8,
        math.log(columns) / 8,
        jnp.log(_rms(tensor.params) + 1e-3) / 2,
        ratios[1],
        ratios[2],
        ratios[0],
        _cosine(tensor.gradient, tensor.momenta[0]),
        _cosine(tensor.momenta[0], tensor.momenta[2]),
    ]


def orthogonal(matrix: Float[Array, "rows columns"]) -> Float[Array, "rows columns"]:
    """Nearly orthogonal rows or columns, the fewer of them; the root mean square is 1.

    Three steps of the iteration of Jordan et al., "Muon", 2024, bring singular values near to each
    other and no more. With its five the untrained rule ended as low on digits after 100 steps, and
    lower after 500 (3e-5, not 8e-5); they cost more.
    """
    rows, columns = matrix.shape
    x = matrix.T if rows > columns else matrix
    x = x / jnp.sqrt(jnp.sum(x**2) + 1e-6)
    for _ in range(3):
        square = x @ x.T
        x = 3.4445 * x + (2.0315 * square @ square - 4.7750 * square) @ x
    return (x.T if rows > columns else x) / jnp.sqrt(jnp.mean(x**2) + 1e-6)


def _in_a_row(leaves: list[Array], dtype: Any) -> Coordinates:
    """All coordinates of all tensors in one vector."""
    return jnp.concatenate([leaf.reshape(-1).astype(dtype) for leaf in leaves])


def _apart(values: Float[Array, "*any coordinates"], shapes: Shapes) -> list[Array]:
    """The coordinates of each tensor."""
    ends = list(itertools.accumulate(math.prod(shape) for shape in shapes))[:-1]
    return jnp.split(values, ends, axis=-1)


def _spread(values: Float[Array, " tensors"], shapes: Shapes) -> Coordinates:
    """The number of each tensor for each of its coordinates."""
    pairs = zip(values, shapes, strict=True)
    return jnp.concatenate([jnp.broadcast_to(v, (math.prod(shape),)) for v, shape in pairs])


def _rows_and_columns(shape: Shape) -> tuple[int, int]:
    """All axes but the last as one."""
    columns = shape[-1] if len(shape) > 1 else 1
    return math.prod(shape) // columns, columns


def _to_factored(deviation: Coordinates, shape: Shape) -> Coordinates:
    """The deviation relative to that of its rows times columns, as in Adafactor (2018)."""
    squares = (deviation / _rms(deviation)).reshape(_rows_and_columns(shape)) ** 2
    factored = squares.mean(0) * (squares.mean(1, keepdims=True) / squares.mean())
    return jnp.sqrt(squares / factored).reshape(-1)


def _rms(x: Array, axis: int | None = None) -> Array:
    return jnp.sqrt(jnp.mean(x**2, axis=axis) + _TINY)


def _cosine(x: Coordinates, y: Coordinates) -> Scalar:
    return jnp.mean((x / _rms(x)) * (y / _rms(y)))


def _perceptron(key: Array, inputs: int, hidden: int, outputs: int) -> Perceptron:
    """Random hidden units, and outputs of zero."""
    kernel = jax.random.normal(key, (hidden, inputs)) / math.sqrt(inputs)
    return (kernel, jnp.zeros(hidden)), (jnp.zeros((outputs, hidden)), jnp.zeros(outputs))


@register("orthogonal_mlp")
def _untrained(params: PyTree, *, steps: int, rate: float) -> OrthogonalMLP:
    return OrthogonalMLP(float(steps), rate=rate)
