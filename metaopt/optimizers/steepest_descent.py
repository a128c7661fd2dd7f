"""Steepest descent with an exact step length: DiMP's rule."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree, Scalar

from metaopt._objectives import Objective, require_curvature
from metaopt._pytree import Pytree
from metaopt._tree import add_scaled, normalized, ratio, sum_of_squares
from metaopt.optimizers._base import InnerOptimizer, register


class SteepestDescentState(Pytree):
    """The state of `SteepestDescent`.

    Attributes:
        step_length: the last step length alpha, without the learned factor.
        stalled: at how many of the steps so far the rule stood still although the gradient was not
            zero, because the curvature along it was not positive.
    """

    step_length: Float[Array, ""]
    stalled: Int[Array, ""]


class SteepestDescent(InnerOptimizer):
    """Moves along the negative gradient to the minimum of a quadratic model.

    With g the gradient and Q the objective's curvature (Gauss-Newton for `LeastSquares`,
    generalized Gauss-Newton for `CompositeLoss`),

        alpha = g'g / g'Qg,    params <- params - exp(log_step) * alpha * g

    (Bhat et al., "Learning Discriminative Model Prediction for Tracking", ICCV 2019, eqs. 3 to 5
    and Algorithm 1; the learned factor exp(log_step) is their published code's.) The scale of the
    residuals does not matter, in the derivatives neither: g is brought near 1 before the quotient,
    which is taken in float32 at least, and params of float16 are evaluated in float32.

    Where the gradient is zero there is nothing left to fit, and the step and its derivative are
    zero. They are as well where g'Qg is not positive and the gradient is not zero, and that
    `state.stalled` counts: the model of the objective has no minimum along the gradient (a
    criterion that is linear or concave in the outputs), and another rule is needed.

    Args:
        log_step: scalar, the logarithm of a learned factor on the step length.
    """

    needs_curvature: ClassVar[bool] = True
    moves_along_gradient: ClassVar[bool] = True

    log_step: Float[Array, ""]

    def __init__(self, log_step: Scalar | float = 0.0) -> None:
        self._set(log_step=jnp.asarray(log_step, float))

    def init(self, params: PyTree) -> SteepestDescentState:
        length = jnp.zeros((), jnp.result_type(jnp.float32, *jax.tree.leaves(params)))
        return SteepestDescentState(length, jnp.zeros((), jnp.int32))

    def step(
        self,
        objective: Objective,
        params: PyTree,
        state: SteepestDescentState,
        batch: PyTree,
    ) -> tuple[PyTree, SteepestDescentState]:
        curved = require_curvature(objective, "SteepestDescent")
        gradient, curvature = curved.quadratic(wide_enough(params), batch)
        scale, direction = normalized(gradient)
        length, along = sum_of_squares(curved.coordinates(direction)), curvature(direction)
        positive = along > jnp.finfo(along.dtype).tiny
        alpha = jnp.where(positive, ratio(length, jnp.where(positive, along, 1.0)), 0.0)
        params = add_scaled(params, -jnp.exp(self.log_step) * alpha * scale, direction)
        stalled = state.stalled + (~positive & (length > 0))
        return params, SteepestDescentState(alpha.astype(state.step_length.dtype), stalled)


def wide_enough(params: PyTree) -> PyTree:
    """The params, those of float16 in float32: its range is too small for squares of gradients."""
    widen = lambda p: p.astype(jnp.float32) if p.dtype == jnp.float16 else p
    return jax.tree.map(widen, params)


@register("steepest_descent")
def _untrained(params: PyTree, *, steps: int, rate: float) -> SteepestDescent:
    return SteepestDescent()
