"""Params that take a linear image of themselves along, so that no step computes it anew."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, PyTree, Scalar

from metaopt._adjoints._base import Body, Carry, Loop, Records
from metaopt._adjoints._closure import hoist
from metaopt._adjoints._scan import save_in_backward
from metaopt._objectives import CurvedObjective, LeastSquares, Quadratic

_Scan = Callable[[Body, Carry, PyTree], tuple[Carry, Records]]
_Image = Callable[[PyTree, PyTree], PyTree]
_TOGETHER = 17  # factors: of the start and of 16 steps
_AT_A_TIME = 4  # factors of a longer fit


class Carried(NamedTuple):
    """Attributes: params; image, what a linear map L makes of them."""

    params: PyTree
    image: PyTree


class _Factors(NamedTuple):
    """What L and its transpose were applied to in a fit: leaves with a leading axis.

    Attributes:
        ahead: the initial params and the gradient of each step, to which L was.
        back: the slope of the loss by the image at each step, to which its transpose L' was.
    """

    ahead: list[Array]
    back: list[Array]


class _Products(NamedTuple):
    """What L made of the one, and L' of the other: `ahead` are images, `back` like params."""

    ahead: list[Array]
    back: list[Array]


class _Known(CurvedObjective):
    """A `LeastSquares` of residuals r(p, L p), over pairs (p, L p), whose slope is known.

    The gradient is such a pair too, so that a step along it moves both: of the three products with
    L in a step of steepest descent, L p, L'r and L g, the first is spared.

    Attributes:
        of_pair: the same objective, as if p and L p were independent.
        model: its quadratic model at the pair where the step begins.
    """

    of_pair: LeastSquares
    model: Any

    @property
    def name(self) -> str:
        return self.of_pair.name

    def loss(self, params: Carried, batch: PyTree) -> Scalar:
        return self.of_pair.loss(params, batch)

    def quadratic(self, params: Carried, batch: PyTree) -> Quadratic:
        return self.model

    def coordinates(self, params: Carried) -> PyTree:
        return params.params


def carries(loop: Loop, params: PyTree) -> bool:
    """Whether the rule can move an image along, and the residuals are made of one.

    In half precision the two are rounded at every step, and would part.
    """
    if not (
        getattr(loop.optimizer, "moves_along_gradient", False)
        and isinstance(loop.objective, LeastSquares)
        and callable(linear_image := getattr(loop.objective.residuals, "linear_image", None))
        and loop.batch is not None
    ):
        return False
    both = params, jax.eval_shape(linear_image, params, loop.batch)
    return all(jnp.finfo(leaf.dtype).bits >= 32 for leaf in jax.tree.leaves(both))


def carried_scan(scan: _Scan, loop: Loop, carry: Carry) -> tuple[Carry, Records]:
    """`scan(loop.body(), carry, loop.xs)` with the image as part of the carry.

    Where L depends on the batch, the derivative by it is a sum over all products with L and L' of
    outer products as large as the batch. They are summed after the loop, by one matrix product: the
    loop is differentiated with L constant and with a zero added to each of its products, and what
    the batch changes of them enters as the tangents of these zeros.
    """
    objective: Any = loop.objective
    linear_image = objective.residuals.linear_image
    shapes = jax.eval_shape(lambda p, batch: (linear_image(p, batch), p), carry.params, loop.batch)
    of_image, of_params = (jax.tree.leaves(each) for each in shapes)
    zeros = functools.partial(_zeros, of_image, of_params, loop.steps)
    within = lambda batch, carry, zeros: _scan_of_pairs(scan, loop, batch, carry, zeros)
    run, held = hoist(within, loop.batch, carry, zeros())
    image, held_by_image = hoist(linear_image, carry.params, loop.batch)
    structure = jax.tree.structure(jax.eval_shape(run, held, loop.batch, carry, zeros())[0])
    # Leaves, for the classes of users need not take tangents in the place of what they hold.
    batch, batch_of = jax.tree.flatten(loop.batch)
    inputs, inputs_of = jax.tree.flatten((held, carry))
    params_of = jax.tree.structure(carry.params)

    # The derivative may be asked for after the trace around this: nothing of it is closed over.
    def differentiable(batch: list[Array], inputs: list[Array], zeros: _Products) -> Any:
        held, carry = jax.tree.unflatten(inputs_of, inputs)
        result, factors = run(held, jax.tree.unflatten(batch_of, batch), carry, zeros)
        return jax.tree.leaves(result), factors

    @jax.custom_jvp
    def fit(batch: list[Array], inputs: list[Array], by_image: list[Array]) -> list[Array]:
        return differentiable(batch, inputs, zeros())[0]

    def derivative(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
        batch, inputs, by_image = primals
        moving, along, merge = _moving(inputs, tangents[1])
        of_constant_batch = lambda moving, zeros: differentiable(batch, merge(moving), zeros)
        result, push, factors = jax.linearize(of_constant_batch, moving, zeros(), has_aux=True)

        # What L reads beside the batch moves within the loop, as a part of `inputs`.
        def linear(params: list[Array], batch: list[Array]) -> list[Array]:
            trees = jax.tree.unflatten(params_of, params), jax.tree.unflatten(batch_of, batch)
            return jax.tree.leaves(image(by_image, *trees))

        change = _by_batch(linear, factors, batch, tangents[0]) or zeros()
        return result, push(along, change)

    fit.defjvp(derivative, symbolic_zeros=True)
    return jax.tree.unflatten(structure, fit(batch, inputs, held_by_image))


def _scan_of_pairs(
    scan: _Scan, loop: Loop, batch: PyTree, carry: Carry, zeros: _Products
) -> tuple[tuple[Carry, Records], _Factors]:
    """The scan over pairs with L of `batch`, and what L and L' were applied to."""
    objective: Any = loop.objective
    residuals = objective.residuals
    linear = lambda params: residuals.linear_image(params, batch)
    of_pair = objective.replace(residuals=lambda p, batch: residuals(p.params, batch, p.image))

    def body(carry: Carry, x: tuple[PyTree, _Products]) -> tuple[Carry, Any]:
        x, zero = x
        slope, curvature = of_pair.quadratic(carry.params, loop.batch)
        (through_image,) = jax.linear_transpose(linear, slope.params)(slope.image)
        # Both are small beside what they are computed from.
        gradient = jax.tree.map(jnp.add, slope.params, through_image)
        gradient = save_in_backward(_moved(gradient, zero.back))
        image = save_in_backward(_moved(linear(gradient), zero.ahead))
        pairs = dataclasses.replace(
            loop,
            objective=_Known(of_pair, (Carried(gradient, image), curvature)),
            observe=lambda pair: loop.observe(pair.params),
        )
        carry, (loss, observed, aux) = pairs.body()(carry, x)
        factors = _Factors(jax.tree.leaves(gradient), jax.tree.leaves(slope.image))
        return carry, (loss, (observed, factors), aux)

    start = Carried(carry.params, _moved(linear(carry.params), [zero[0] for zero in zeros.ahead]))
    xs = loop.xs, zeros._replace(ahead=[zero[1:] for zero in zeros.ahead])
    last, (losses, (observed, factors), aux) = scan(body, carry._replace(params=start), xs)
    join = lambda first, later: jnp.concatenate([first[None], later])
    ahead = list(map(join, jax.tree.leaves(carry.params), factors.ahead))
    result = last._replace(params=last.params.params), (losses, observed, aux)
    return result, factors._replace(ahead=ahead)


def _zeros(image: list[Any], params: list[Any], steps: int) -> _Products:
    """A zero for each product of a fit, of leaves of these shapes and dtypes."""
    zeros = lambda count, like: [jnp.zeros((count, *x.shape), x.dtype) for x in like]
    return _Products(zeros(steps + 1, image), zeros(steps, params))


def _moved(tree: PyTree, leaves: list[Array]) -> PyTree:
    """The sum of a tree and of leaves like its own."""
    own, structure = jax.tree.flatten(tree)
    return jax.tree.unflatten(structure, list(map(jnp.add, own, leaves)))


def _by_batch(
    linear: Callable[[list[Array], list[Array]], list[Array]],
    factors: _Factors,
    batch: list[Array],
    tangents: list[Any],
) -> _Products | None:
    """The derivative of each product along the tangents of the batch that L is made of, if any."""
    moving, along, merge = _moving(batch, tangents)
    if not moving:
        return None
    push = lambda product: jax.jvp(lambda moving: product(merge(moving)), (moving,), (along,))[1]
    like = [leaf[0] for leaf in factors.ahead]
    transposed = lambda batch: jax.linear_transpose(lambda p: linear(p, batch), like)
    return _Products(
        _each(lambda p: push(lambda batch: linear(p, batch)), factors.ahead),
        _each(lambda slope: push(lambda batch: transposed(batch)(slope)[0]), factors.back),
    )


def _each(function: Callable[[list[Array]], list[Array]], factors: list[Array]) -> list[Array]:
    """`function` of each factor: together, but of a long fit a few at a time, to bound memory."""
    if len(factors[0]) <= _TOGETHER:
        return jax.vmap(function)(factors)
    # What a factor is spread out to is as large as all of them, and is made anew when needed.
    spread = jax.checkpoint(function, prevent_cse=False)
    return jax.lax.map(spread, factors, batch_size=_AT_A_TIME)


def _moving(
    primals: list[Array], tangents: list[Any]
) -> tuple[list[Array], list[Array], Callable[[list[Array]], list[Array]]]:
    """The arrays that have a tangent, their tangents, and what puts others in their place."""
    places = [i for i, tangent in enumerate(tangents) if not isinstance(tangent, SymbolicZero)]

    def merge(moving: list[Array]) -> list[Array]:
        instead = dict(zip(places, moving, strict=True))
        return [instead.get(place, primal) for place, primal in enumerate(primals)]

    return [primals[i] for i in places], [tangents[i] for i in places], merge
