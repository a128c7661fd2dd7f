"""The implicit function theorem at a converged fit."""

import jax
import jax.numpy as jnp
from jaxtyping import PyTree, Scalar

from metaopt._adjoints._base import Adjoint, Carry, Loop, Records
from metaopt._adjoints._closure import constant
from metaopt._adjoints._minimizer import minimizer
from metaopt._objectives import Objective
from metaopt._pytree import static
from metaopt._solvers import SOLVERS, Settings, SolveReport, solve
from metaopt._stateful import bind


class Implicit(Adjoint):
    """The derivative of the minimizer itself, whatever path the fit took to it.

    At a minimum p of the objective L(p, m) the gradient vanishes, g(p, m) = 0, and with H = dg/dp

        dp/dm = -H^-1 dg/dm

    by the implicit function theorem (Bengio, "Gradient-Based Optimization of Hyperparameters",
    2000; by conjugate gradients in meta-learning: Rajeswaran et al., "Meta-Learning with Implicit
    Gradients", NeurIPS 2019, Lemma 1). m is the batch (the last, of `batches`) and what the
    objective holds or closes over. Memory does not grow with the number of steps. Right in forward
    and reverse mode, and in second derivatives.

    It is right as far as the fit has converged and H is positive definite; `damping` stands in for
    the missing definiteness. By the initial params, the rule and its state the derivative is zero,
    since the minimizer does not depend on them. `losses` and `observed` are constants before the
    last entry; the last is differentiated through the final params.

    Whenever the derivative is computed, inside of jit too, it is looked at whether the linear solve
    has converged and whether the fit was at a minimum; if not, a `ConvergenceWarning` says what was
    left. As values, `report` gives it.

    Args:
        tolerance: the linear solver stops at this norm of the residual relative to the right-hand
            side.
        damping: added to the diagonal of H, 0 or more.
        rate: of "neumann", positive.
        max_iterations: of the linear solver.
        solver: "cg", conjugate gradients; "bicgstab" or "gmres" for an objective whose `gradient`
            is not that of a scalar, so that H is not symmetric; "neumann", a series in the rate;
            "dense", a direct solve for a few hundred params.
        unconverged: "warn", "raise" (a RuntimeError, under jit one of JAX around it) or "ignore",
            which spares the callback to the host.

    Raises:
        ValueError: if the solver or the word for `unconverged` is unknown.
    """

    tolerance: float | Scalar = 1e-6
    damping: float | Scalar = 0.0
    rate: float | Scalar = 0.1
    max_iterations: int = static(default=100)
    solver: str = static(default="cg")
    unconverged: str = static(default="warn")

    def __post_init__(self) -> None:
        if self.solver not in SOLVERS:
            raise ValueError(f"unknown solver {self.solver!r}; known are {', '.join(SOLVERS)}.")
        if self.unconverged not in ("warn", "raise", "ignore"):
            raise ValueError(
                f"unconverged is {self.unconverged!r}, and has to be warn, raise or ignore."
            )

    def run(self, loop: Loop, carry: Carry) -> tuple[Carry, Records]:
        scan = lambda carry: jax.lax.scan(loop.body(), carry, loop.xs)
        after, records = constant(scan, carry)
        objective = bind(loop.objective, after.model_state)
        params = self.attach(objective, loop.last_samples, carry.params, after.params)
        return after._replace(params=params), records

    def attach(self, objective: Objective, batch: PyTree, start: PyTree, params: PyTree) -> PyTree:
        """The params at the end of a fit, with the derivative of the minimizer."""
        return minimizer(
            objective, batch, start, params, solver=self.solver, settings=self._settings,
            damping=self.damping, unconverged=self.unconverged,
        )  # fmt: skip

    def report(
        self, objective: Objective, params: PyTree, batch: PyTree, cotangent: PyTree
    ) -> SolveReport:
        """What the linear solve of a backward pass leaves: residual, iterations, converged.

        Args:
            objective: what was minimized.
            params: the minimum.
            batch: the samples of the last step.
            cotangent: the derivative of the outer loss by the params, like these.
        """
        _, hessian = jax.linearize(lambda p: objective.gradient(p, batch), params)
        damped = lambda v: jax.tree.map(lambda hv, v: hv + self.damping * v, hessian(v), v)
        cotangent = jax.tree.map(lambda c, p: jnp.asarray(c, p.dtype), cotangent, params)
        return solve(self.solver, damped, cotangent, self._settings)[1]

    @property
    def _settings(self) -> Settings:
        return Settings(self.tolerance, self.max_iterations, self.rate)
