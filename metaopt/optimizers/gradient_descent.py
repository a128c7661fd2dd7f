"""Any optax transformation as an inner optimizer."""

from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import Array, PyTree

from metaopt._objectives import Objective
from metaopt._pytree import static
from metaopt.optimizers._base import InnerOptimizer, register


class GradientDescent(InnerOptimizer):
    """Follows any optax `GradientTransformation`: sgd, momentum, adam, ...

    optax keeps hyper-parameters in closures, where no gradient reaches them and a change means a
    new compilation. Wrapped by `optax.inject_hyperparams` they are leaves of the rule instead:

        rule = GradientDescent(optax.inject_hyperparams(optax.sgd)(learning_rate=0.1))
        rule.hyperparams["learning_rate"]            # a meta-parameter

    Args:
        transformation: the optax rule.

    Attributes:
        hyperparams: the injected hyper-parameters by name; empty without injection.
    """

    hyperparams: dict[str, Array]
    transformation: optax.GradientTransformation = static()

    def __init__(self, transformation: optax.GradientTransformation) -> None:
        # The hyper-parameters do not depend on the params, so any will do to ask for them.
        injected = getattr(transformation.init(jnp.zeros(())), "hyperparams", {})
        floating = {name: jnp.asarray(value, float) for name, value in injected.items()}
        self._set(hyperparams=floating, transformation=transformation)

    def init(self, params: PyTree) -> Any:
        return self.transformation.init(params)

    def step(
        self, objective: Objective, params: PyTree, state: Any, batch: PyTree
    ) -> tuple[PyTree, Any]:
        gradient = objective.gradient(params, batch)
        if self.hyperparams:
            state = state._replace(hyperparams=self.hyperparams)
        updates, state = self.transformation.update(gradient, state, params)
        return optax.apply_updates(params, updates), state


@register("gradient_descent")
def _untrained_sgd(params: PyTree, *, steps: int, rate: float) -> GradientDescent:
    return GradientDescent(optax.inject_hyperparams(optax.sgd)(learning_rate=rate))


@register("adam")
def _untrained_adam(params: PyTree, *, steps: int, rate: float) -> GradientDescent:
    # eps_root keeps the derivative finite where a gradient coordinate is exactly zero.
    adam = optax.inject_hyperparams(optax.adam, static_args=("eps_root",))
    return GradientDescent(adam(learning_rate=rate, eps_root=1e-8))


@register("none")
def _no_step(params: PyTree, *, steps: int, rate: float) -> GradientDescent:
    return GradientDescent(optax.set_to_zero())
