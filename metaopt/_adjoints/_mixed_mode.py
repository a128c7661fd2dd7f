"""Second derivatives of the inner loss, taken forward over reverse."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree, Scalar

from metaopt._adjoints._closure import hoist
from metaopt._adjoints._recast import Derivatives
from metaopt._adjoints._scan import save_in_backward
from metaopt._objectives import CurvedObjective, Objective


@dataclasses.dataclass(frozen=True)
class MixedMode(Derivatives):
    """The inner gradient is differentiated by a forward-mode pass over it.

    Reverse mode hands the gradient g(p, m) = dL/dp of a step a cotangent c and asks for
    c' dg/d(p, m). Second derivatives commute, so that is the derivative of dL/d(p, m) along c:

        c' dg/d(p, m) = d/de dL/d(p, m) (p + e c, m)   at e = 0

    one `jvp` of a gradient, which keeps nothing of the inside of the first pass (Kemaev et al.,
    "Scalable Meta-Learning via Mixed-Mode Differentiation", ICML 2025). m stands for all that the
    loss reads beside the params: the batch, what the objective holds or closes over.
    """

    def loss(self, objective: Objective, params: PyTree, batch: PyTree) -> Scalar:
        return objective.loss(params, batch)

    def gradient(self, objective: Objective, params: PyTree, batch: PyTree) -> PyTree:
        loss, closed_over = hoist(lambda p: objective.loss(p, batch), params)
        return save_in_backward(_gradient(loss, closed_over, params))

    def curvature(
        self, objective: CurvedObjective, params: PyTree, batch: PyTree
    ) -> Callable[[PyTree], Scalar]:
        # v'Qv holds one forward-mode derivative: reversing it is not reverse over reverse.
        return objective.quadratic(params, batch)[1]


def _gradient(loss: Callable[..., Scalar], closed_over: list[Array], params: PyTree) -> PyTree:
    """The gradient of `loss(closed_over, params)` by the params, differentiated in mixed mode."""

    @jax.custom_vjp
    def gradient(closed_over: list[Array], params: PyTree) -> PyTree:
        return jax.grad(loss, argnums=1)(closed_over, params)

    def forward(closed_over: list[Array], params: PyTree) -> tuple[PyTree, tuple[Any, ...]]:
        return gradient(closed_over, params), (closed_over, params)

    def backward(inputs: tuple[Any, ...], along: PyTree) -> tuple[Any, ...]:
        closed_over, params = inputs
        floating = [jnp.issubdtype(array.dtype, jnp.inexact) for array in closed_over]
        pairs = list(zip(closed_over, floating, strict=True))
        meta = [array if is_float else None for array, is_float in pairs]
        fixed = [None if is_float else array for array, is_float in pairs]

        def slopes(params: PyTree) -> tuple[Any, ...]:
            merge = lambda meta: [f if m is None else m for m, f in zip(meta, fixed, strict=True)]
            return jax.grad(lambda m, p: loss(merge(m), p), argnums=(0, 1))(meta, params)

        return jax.jvp(slopes, (params,), (along,))[1]

    gradient.defvjp(forward, backward)
    return gradient(closed_over, params)
