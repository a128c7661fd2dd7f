"""Damped Gauss-Newton: the minimum of the whole quadratic model, not along one direction of it."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, Scalar

from metaopt._newton import mean_curvature, newton_step
from metaopt._objectives import Objective, require_curvature
from metaopt._pytree import Pytree, static
from metaopt._tree import add_scaled
from metaopt.optimizers._base import InnerOptimizer, register
from metaopt.optimizers.steepest_descent import wide_enough


class GaussNewtonState(Pytree):
    """Attributes: damping, the last one, in the units of the curvature."""

    damping: Float[Array, ""]


class GaussNewton(InnerOptimizer):
    """Moves to the minimum of a quadratic model, damped.

    With g the gradient and Q the objective's curvature (Gauss-Newton for `LeastSquares`,
    generalized Gauss-Newton for `CompositeLoss`),

        (Q + damping * (g'Qg / g'g) I) d = -g,    params <- params + d

    (Levenberg, "A method for the solution of certain non-linear problems in least squares", 1944;
    Schraudolph, "Fast curvature matrix-vector products for second-order gradient descent", 2002.)
    The damping is relative to the curvature along the gradient, so that the scale of the residuals
    does not matter: large, the steps are short ones along the gradient; near 0, those of
    Gauss-Newton itself. d is found by conjugate gradients on products with Q, each one
    Jacobian-vector product and its transpose; its derivative is that of the solution.

    Where there is no curvature along the gradient the rule stands still and `state.damping` is 0.

    Args:
        damping: relative, positive.
        max_iterations: of the conjugate gradients.

    Attributes:
        log_damping: logarithm of `damping`.
    """

    learned: ClassVar[bool] = False
    needs_curvature: ClassVar[bool] = True

    log_damping: Float[Array, ""]
    max_iterations: int = static()

    def __init__(self, damping: float | Scalar = 0.1, *, max_iterations: int = 20) -> None:
        log_damping = jnp.log(jnp.asarray(damping, float))
        self._set(log_damping=log_damping, max_iterations=max_iterations)

    def init(self, params: PyTree) -> GaussNewtonState:
        dtype = jnp.result_type(jnp.float32, *jax.tree.leaves(params))
        return GaussNewtonState(jnp.zeros((), dtype))

    def step(
        self, objective: Objective, params: PyTree, state: GaussNewtonState, batch: PyTree
    ) -> tuple[PyTree, GaussNewtonState]:
        curved = require_curvature(objective, "GaussNewton")
        gradient, curvature = curved.quadratic(wide_enough(params), batch)
        damping = jnp.exp(self.log_damping) * mean_curvature(gradient, curvature)
        step = newton_step(gradient, curvature, damping, max_iterations=self.max_iterations)
        params = add_scaled(params, step.scale, step.direction)
        return params, GaussNewtonState(damping.astype(state.damping.dtype))


@register("gauss_newton")
def _untrained(params: PyTree, *, steps: int, rate: float) -> GaussNewton:
    return GaussNewton()
