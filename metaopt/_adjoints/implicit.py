"""The implicit function theorem at a converged fit."""

import jax
import jax.numpy as jnp
from jaxtyping import PyTree, Scalar

from metaopt._adjoints._base import Adjoint, Carry, Loop, Records
from metaopt._adjoints._closure import constant
from metaopt._pytree import static


class Implicit(Adjoint):
    """The derivative of the minimizer itself, whatever path the fit took to it.

    At a minimum p of the objective L(p, m) the gradient vanishes, g(p, m) = 0, and with H = dg/dp

        dp/dm = -H^-1 dg/dm

    by the implicit function theorem (Bengio, "Gradient-Based Optimization of Hyperparameters",
    2000; by conjugate gradients in meta-learning: Rajeswaran et al., "Meta-Learning with Implicit
    Gradients", NeurIPS 2019, Lemma 1). m is the batch (the last, of `batches`) and what the
    objective holds or closes over. Memory does not grow with the number of steps.

    It is right as far as the fit has converged and H is positive definite; `damping` stands in for
    the missing definiteness. By the initial params, the rule and its state the derivative is zero,
    since the minimizer does not depend on them. `losses` and `observed` are constants before the
    last entry; the last is differentiated through the final params.

    Args:
        tolerance: conjugate gradients stop at this norm of the residual relative to the right-hand
            side.
        damping: added to the diagonal of H, 0 or more.
        max_iterations: of conjugate gradients.
    """

    tolerance: float | Scalar = 1e-6
    damping: float | Scalar = 0.0
    max_iterations: int = static(default=100)

    def run(self, loop: Loop, carry: Carry) -> tuple[Carry, Records]:
        scan = lambda carry: jax.lax.scan(loop.body(), carry, loop.xs)
        (params, state), records = constant(scan, carry)
        return (self._attach(loop, params), state), records

    def _attach(self, loop: Loop, params: PyTree) -> PyTree:
        """The params, with the derivative of the minimizer.

        They take a Newton step -H^-1 (g - stop_gradient(g)): of length zero, and with the
        derivative wanted. Its right-hand side is exactly zero: the forward pass does not iterate.
        """
        gradient, hessian = jax.linearize(
            lambda p: loop.objective.gradient(p, loop.last_samples), params
        )
        hessian = jax.lax.stop_gradient(hessian)
        damped = lambda v: jax.tree.map(lambda hv, v: hv + self.damping * v, hessian(v), v)
        change = jax.tree.map(jnp.subtract, gradient, jax.lax.stop_gradient(gradient))
        newton, _ = jax.scipy.sparse.linalg.cg(
            damped, change, tol=self.tolerance, maxiter=self.max_iterations
        )
        return jax.tree.map(jnp.subtract, params, newton)
