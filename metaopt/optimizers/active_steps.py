"""A rule that stops after a number of steps, so that one compilation serves fits of any length."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PyTree

from metaopt._objectives import Objective
from metaopt._pytree import Pytree
from metaopt.optimizers._base import InnerOptimizer


class ActiveStepsState(Pytree):
    """Attributes: count, the number of steps asked for so far; inner, the state of the rule."""

    count: Int[Array, ""]
    inner: PyTree


class ActiveSteps(InnerOptimizer):
    """Takes the first `steps` steps of a rule and leaves params and state alone from then on.

    The number is a leaf, not structure: traced, and different within a `vmap`, it needs no other
    compilation. A `fit` goes through all its steps for the adjoint too: the idle ones have the
    derivative of the identity, and `Truncated` counts them.

        rule = metaopt.ActiveSteps(optimizer, n)
        result = metaopt.fit(rule, objective, params, batch, steps=20)

    Args:
        optimizer: the rule.
        steps: how many steps it takes, 0 or more.
    """

    optimizer: InnerOptimizer
    steps: int | Int[Array, ""]

    @property
    def fits_any_shapes(self) -> bool:
        """As the rule within."""
        return self.optimizer.fits_any_shapes

    def with_scaled_rate(self, factor: Array | float) -> InnerOptimizer:
        return self.replace(optimizer=self.optimizer.with_scaled_rate(factor))

    def init(self, params: PyTree) -> ActiveStepsState:
        return self.resume(self.optimizer.init(params))

    def resume(self, state: PyTree) -> ActiveStepsState:
        """The state in which a fit goes on from a state of the rule within."""
        return ActiveStepsState(jnp.zeros((), jnp.int32), state)

    def step(
        self, objective: Objective, params: PyTree, state: ActiveStepsState, batch: PyTree
    ) -> tuple[PyTree, ActiveStepsState]:
        move = lambda params, inner: self.optimizer.step(objective, params, inner, batch)
        rest = lambda params, inner: (params, inner)
        active = state.count < self.steps
        params, inner = jax.lax.cond(active, move, rest, params, state.inner)
        return params, ActiveStepsState(state.count + 1, inner)
