"""Params that take a linear image of themselves along, so that no step computes it anew."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import PyTree, Scalar

from metaopt._adjoints._base import Body, Carry, Loop, Records
from metaopt._adjoints._scan import save_in_backward
from metaopt._objectives import CurvedObjective, LeastSquares, Quadratic


class Carried(NamedTuple):
    """Attributes: params; image, what a linear map L makes of them."""

    params: PyTree
    image: PyTree


class CarriedObjective(CurvedObjective):
    """A `LeastSquares` of residuals r(p, L p), over pairs (p, L p).

    The gradient is such a pair too, so that a step along it moves both: of the three products with
    L in a step of steepest descent, L p, L'r and L g, the first is spared.

    Attributes:
        of_pair: the same objective, as if p and L p were independent.
        linear_image: `linear_image(p, batch) -> L p`.
    """

    of_pair: LeastSquares
    linear_image: Callable[[PyTree, PyTree], PyTree]

    @property
    def name(self) -> str:
        return self.of_pair.name

    def loss(self, params: Carried, batch: PyTree) -> Scalar:
        return self.of_pair.loss(params, batch)

    def quadratic(self, params: Carried, batch: PyTree) -> Quadratic:
        slope, curvature = self.of_pair.quadratic(params, batch)
        linear = lambda p: self.linear_image(p, batch)
        (through_image,) = jax.linear_transpose(linear, params.params)(slope.image)
        # Both are small beside what they are computed from.
        gradient = save_in_backward(jax.tree.map(jnp.add, slope.params, through_image))
        return Carried(gradient, save_in_backward(linear(gradient))), curvature

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


def carried_scan(
    scan: Callable[[Body, Carry, PyTree], tuple[Carry, Records]], loop: Loop, carry: Carry
) -> tuple[Carry, Records]:
    """`scan(loop.body(), carry, loop.xs)` with the image as part of the carry."""
    objective: Any = loop.objective
    residuals = objective.residuals
    of_pair = objective.replace(residuals=lambda p, batch: residuals(p.params, batch, p.image))
    pairs = dataclasses.replace(
        loop,
        objective=CarriedObjective(of_pair, residuals.linear_image),
        observe=lambda pair: loop.observe(pair.params),
    )
    image = residuals.linear_image(carry.params, loop.batch)
    start = carry._replace(params=Carried(carry.params, image))
    carry, records = scan(pairs.body(), start, pairs.xs)
    return carry._replace(params=carry.params.params), records
