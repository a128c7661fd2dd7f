"""Any optax transformation as an inner optimizer."""

from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, PyTree, Scalar
from optax.schedules import InjectStatefulHyperparamsState

from metaopt._finite import with_finite_derivative
from metaopt._objectives import Objective
from metaopt._pytree import static
from metaopt.optimizers._base import InnerOptimizer, register

_RATE = "learning_rate"


class GradientDescent(InnerOptimizer):
    """Follows any optax `GradientTransformation`: sgd, momentum, adam, a chain, ...

    optax keeps hyper-parameters in closures, where no gradient reaches them and a change means a
    new compilation. Wrapped by `optax.inject_hyperparams`, as a whole or in the links of a chain,
    they are leaves of the rule instead:

        rule = GradientDescent(optax.inject_hyperparams(optax.sgd)(learning_rate=0.1, momentum=0.9))
        rule.hyperparams["learning_rate"]            # a meta-parameter
        rule.replace(hyperparams={"learning_rate": 0.2, "momentum": 0.9})

    A hyper-parameter given as a schedule stays one, and is no leaf.

    The derivative of adam, adamw, lamb, nadam, radam, amsgrad, adafactor and others is NaN where a
    coordinate of the gradient is exactly zero and always was (a masked or padded coordinate), and
    that of clipping to a norm where the whole gradient is. Here such a coordinate counts as a
    constant in the derivative of that step, if the transformation's own derivative is not finite
    in it. The values, and the derivatives with respect to all other coordinates, are those of the
    transformation.

    Args:
        transformation: the optax rule. One that wants the loss (`optax.polyak_sgd`, a line search)
            is given it.
        params: inner parameters of the shapes to be fitted; needed only by a transformation that
            asks for their structure, such as `optax.partition`.

    Attributes:
        hyperparams: the injected hyper-parameters by name; empty without injection.

    Raises:
        ValueError: if two links of a chain inject hyper-parameters of the same name.
    """

    learned: ClassVar[bool] = False

    hyperparams: dict[str, Array]
    transformation: optax.GradientTransformation = static()

    def __init__(self, transformation: optax.GradientTransformation, params: PyTree = None) -> None:
        # Hyper-parameters do not depend on the params: without any, a scalar will do to ask.
        shapes = jnp.zeros(()) if params is None else params
        state = transformation.init(jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes))
        hyperparams: dict[str, Array] = {}
        for injected in filter(_is_injected, jax.tree.leaves(state, is_leaf=_is_injected)):
            for name in injected.hyperparams.keys() - injected.hyperparams_states.keys():
                if name in hyperparams:
                    raise ValueError(
                        f"two links of the chain inject {name!r}; wrap the function that makes the "
                        "whole chain by optax.inject_hyperparams, with a name for each."
                    )
                hyperparams[name] = jnp.asarray(injected.hyperparams[name], float)
        self._set(hyperparams=hyperparams, transformation=transformation)

    def with_scaled_rate(self, factor: float | Scalar) -> InnerOptimizer:
        """The rule with its hyper-parameter `learning_rate` times a factor, if it is injected."""
        if _RATE not in self.hyperparams:
            return self
        rate = factor * self.hyperparams[_RATE]
        return self.replace(hyperparams={**self.hyperparams, _RATE: rate})

    def init(self, params: PyTree) -> Any:
        return self.transformation.init(params)

    def step(
        self, objective: Objective, params: PyTree, state: Any, batch: PyTree
    ) -> tuple[PyTree, Any]:
        transformation = optax.with_extra_args_support(self.transformation)
        value_fn = lambda params: objective.loss(params, batch)
        gradient = objective.gradient(params, batch)
        value = value_fn(params)

        def update(g: PyTree, state: Any, params: PyTree) -> tuple[PyTree, Any]:
            return transformation.update(g, state, params, value=value, grad=g, value_fn=value_fn)

        before = self._with_hyperparams(state)
        gradient = _constant_where_singular(update, gradient, before, params)
        updates, after = with_finite_derivative(update)(gradient, before, params)
        # float32 hyper-parameters promote a bfloat16 state, which a scan does not allow.
        state = jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), after, state)
        return optax.apply_updates(params, updates), state

    def _with_hyperparams(self, state: Any) -> Any:
        """The state with the rule's hyper-parameters in the place of the injected ones."""

        def replace(node: Any) -> Any:
            if not _is_injected(node):
                return node
            known = {
                name: self.hyperparams.get(name, old) for name, old in node.hyperparams.items()
            }
            return node._replace(hyperparams=known)

        return jax.tree.map(replace, state, is_leaf=_is_injected)


def _is_injected(node: Any) -> bool:
    return isinstance(node, InjectStatefulHyperparamsState)


def _constant_where_singular(
    update: Callable[..., tuple[PyTree, Any]], gradient: PyTree, state: Any, params: PyTree
) -> PyTree:
    """The gradient, constant in the zero coordinates where the update has no finite derivative."""
    gradient_, state, params = jax.lax.stop_gradient((gradient, state, params))
    zero = jax.tree.map(lambda g: g == 0, gradient_)
    along_zero = jax.tree.map(lambda is_zero, g: is_zero.astype(g.dtype), zero, gradient_)
    _, slope = jax.jvp(lambda g: update(g, state, params)[0], (gradient_,), (along_zero,))
    return jax.tree.map(
        lambda g, is_zero, s: jnp.where(is_zero & ~jnp.isfinite(s), jax.lax.stop_gradient(g), g),
        gradient,
        zero,
        slope,
    )


@register("gradient_descent")
def _untrained_sgd(params: PyTree, *, steps: int, rate: float) -> GradientDescent:
    return GradientDescent(optax.inject_hyperparams(optax.sgd)(learning_rate=rate))


@register("adam")
def _untrained_adam(params: PyTree, *, steps: int, rate: float) -> GradientDescent:
    # Only what stays meaningful when an outer step moves it: b2 = 0.999 would soon exceed 1.
    adam = optax.inject_hyperparams(optax.adam, static_args=("b2", "eps", "eps_root"))
    return GradientDescent(adam(learning_rate=rate))


@register("none")
def _no_step(params: PyTree, *, steps: int, rate: float) -> GradientDescent:
    return GradientDescent(optax.set_to_zero())
