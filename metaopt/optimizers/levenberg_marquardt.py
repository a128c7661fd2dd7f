"""Levenberg-Marquardt: Gauss-Newton with a damping that follows its success."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree, Scalar

from metaopt._newton import mean_curvature, newton_step
from metaopt._objectives import Objective, require_curvature
from metaopt._pytree import Pytree, static
from metaopt._tree import add_scaled
from metaopt.optimizers._base import InnerOptimizer, register
from metaopt.optimizers.steepest_descent import wide_enough


class LevenbergMarquardtState(Pytree):
    """The state of `LevenbergMarquardt`.

    Attributes:
        count: the number of steps taken.
        damping: that of the next step, in the units of the curvature.
        growth: the factor by which it grows if that step fails.
        rejected: how many steps so far would not have lowered the loss, and were not taken.
    """

    count: Int[Array, ""]
    damping: Float[Array, ""]
    growth: Float[Array, ""]
    rejected: Int[Array, ""]


class LevenbergMarquardt(InnerOptimizer):
    """Damped Gauss-Newton steps that never raise the loss.

        (Q + damping I) d = -g,    params <- params + d   if the loss falls

    The damping starts as a factor on the curvature along the gradient, g'Qg / g'g. With the gain

        rho = (loss(params) - loss(params + d)) / (what the model promised)

    a step that lowers the loss multiplies it by max(1/3, 1 - (2 rho - 1)^3); one that does not is
    not taken, and multiplies it by a factor that doubles from failure to failure (Marquardt 1963;
    Nielsen, "Damping parameter in Marquardt's method", 1999, eq. 2.5). d is found as in
    `GaussNewton`, and scale matters as little. All of it is differentiable where no step changes
    from taken to not taken.

    Args:
        damping: the first one, relative, positive.
        max_iterations: of the conjugate gradients.

    Attributes:
        log_damping: logarithm of `damping`.
    """

    learned: ClassVar[bool] = False
    needs_curvature: ClassVar[bool] = True
    reads_loss: ClassVar[bool] = True

    log_damping: Float[Array, ""]
    max_iterations: int = static()

    def __init__(self, damping: float | Scalar = 1e-2, *, max_iterations: int = 20) -> None:
        log_damping = jnp.log(jnp.asarray(damping, float))
        self._set(log_damping=log_damping, max_iterations=max_iterations)

    def init(self, params: PyTree) -> LevenbergMarquardtState:
        dtype = jnp.result_type(jnp.float32, *jax.tree.leaves(params))
        count, growth = lambda: jnp.zeros((), jnp.int32), jnp.full((), 2, dtype)
        return LevenbergMarquardtState(count(), jnp.zeros((), dtype), growth, count())

    def step(
        self, objective: Objective, params: PyTree, state: LevenbergMarquardtState, batch: PyTree
    ) -> tuple[PyTree, LevenbergMarquardtState]:
        curved = require_curvature(objective, "LevenbergMarquardt")
        gradient, curvature = curved.quadratic(wide_enough(params), batch)
        first = jnp.exp(self.log_damping) * mean_curvature(gradient, curvature)
        damping = jnp.where(state.count == 0, first, state.damping)
        step = newton_step(gradient, curvature, damping, max_iterations=self.max_iterations)
        trial = add_scaled(params, step.scale, step.direction)
        fall = curved.loss(params, batch) - curved.loss(trial, batch)
        taken = fall > 0  # not where the trial's loss is NaN
        promised = jnp.where(taken, step.reduction, 1)
        gain = jnp.where(taken, fall, 0) / promised
        success = damping * jnp.maximum(1 / 3, 1 - (2 * gain - 1) ** 3)
        params = jax.tree.map(lambda new, old: jnp.where(taken, new, old), trial, params)
        like = lambda value, old: jnp.asarray(value, old.dtype)
        return params, LevenbergMarquardtState(
            count=state.count + 1,
            damping=like(jnp.where(taken, success, damping * state.growth), state.damping),
            growth=like(jnp.where(taken, 2, 2 * state.growth), state.growth),
            rejected=state.rejected + ~taken,
        )


@register("levenberg_marquardt")
def _untrained(params: PyTree, *, steps: int, rate: float) -> LevenbergMarquardt:
    return LevenbergMarquardt(1.0)
