"""Any optax transformation as an inner optimizer."""

import inspect
from collections.abc import Callable, Iterator
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

    `optax.lookahead` is given `optax.LookaheadParams` for params, and an objective of their `fast`
    ones, by which alone the gradient is taken; `optax.contrib.sam` and `sophia` get the functions
    that they ask for. docs/optax.md lists what is tested.

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
        recipe: the registered name under which `metaopt.optimizers.make` builds the same
            transformation, if there is one: by it `metaopt.load` comes to what is no data.

    Attributes:
        hyperparams: the injected hyper-parameters by name; empty without injection.

    Raises:
        TypeError: if it is no optax transformation.
        ValueError: if two links of a chain inject hyper-parameters of the same name, or if the
            transformation needs params that were not given.
    """

    learned: ClassVar[bool] = False

    hyperparams: dict[str, Array]
    transformation: optax.GradientTransformation = static()
    recipe: str | None = static()

    def __init__(
        self,
        transformation: optax.GradientTransformation,
        params: PyTree = None,
        *,
        recipe: str | None = None,
    ) -> None:
        if not isinstance(transformation, optax.GradientTransformation):
            raise TypeError(
                f"GradientDescent takes an optax transformation, not {transformation!r:.60}: call "
                "the function that makes it, as in GradientDescent(optax.sgd(0.1))."
            )
        hyperparams: dict[str, Array] = {}
        for injected in _injected(_state_of_zeros(transformation, params)):
            for name in injected.hyperparams.keys() - injected.hyperparams_states.keys():
                if name in hyperparams:
                    raise ValueError(
                        f"two links of the chain inject {name!r}; wrap the function that makes the "
                        "whole chain by optax.inject_hyperparams, with a name for each."
                    )
                hyperparams[name] = jnp.asarray(injected.hyperparams[name], float)
        self._set(hyperparams=hyperparams, transformation=transformation, recipe=recipe)

    def with_scaled_rate(self, factor: float | Scalar) -> InnerOptimizer:
        """The rule with its hyper-parameter `learning_rate` times a factor, if it is injected."""
        if _RATE not in self.hyperparams:
            return self
        rate = factor * self.hyperparams[_RATE]
        return self.replace(hyperparams={**self.hyperparams, _RATE: rate})

    def init(self, params: PyTree) -> Any:
        state = self.transformation.init(params)
        known = {name for injected in _injected(state) for name in injected.hyperparams}
        if unknown := sorted(self.hyperparams.keys() - known):
            raise ValueError(
                f"GradientDescent has no hyper-parameter {', '.join(map(repr, unknown))}; known "
                f"are {', '.join(sorted(known)) or 'none: wrap it by optax.inject_hyperparams'}."
            )
        return state

    def step(
        self, objective: Objective, params: PyTree, state: Any, batch: PyTree
    ) -> tuple[PyTree, Any]:
        extra = _extra_arguments(self.transformation, objective, batch)
        gradient = objective.gradient(params, batch)
        if isinstance(params, optax.LookaheadParams):
            gradient = gradient.fast

        def update(g: PyTree, state: Any, params: PyTree) -> tuple[PyTree, Any]:
            return self.transformation.update(g, state, params, **extra(g, params))

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


def _state_of_zeros(transformation: optax.GradientTransformation, params: PyTree) -> Any:
    """A state from which the hyper-parameters can be read, on which they do not depend."""
    shapes = jnp.zeros(()) if params is None else params
    try:
        return transformation.init(jax.tree.map(lambda leaf: jnp.zeros(jnp.shape(leaf)), shapes))
    except Exception as error:
        if params is None:
            raise ValueError(
                "this optax transformation asks for the structure of the params: write "
                f"GradientDescent(transformation, params). (It said: {error!s:.200})"
            ) from error
        if callable(params):
            raise ValueError(
                "optax calls a mask or a label tree that can be called, and a tree like these "
                "params can: give a function instead, as in mask=lambda params: tree. (It said: "
                f"{error!s:.200})"
            ) from error
        raise


def _injected(state: Any) -> Iterator[Any]:
    return filter(_is_injected, jax.tree.leaves(state, is_leaf=_is_injected))


def _extra_arguments(
    transformation: optax.GradientTransformation, objective: Objective, batch: PyTree
) -> Callable[[PyTree, PyTree], dict[str, Any]]:
    """What the transformation wants beside the gradient, under the names that optax gives it."""
    taken = inspect.signature(transformation.update).parameters.values()
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken)
    names = {parameter.name for parameter in taken}

    def loss(params: PyTree, *_: Any, obj_fn: Any = None, grad_fn: Any = None) -> Any:
        # optax's line searches hand on to it what they do not take themselves.
        return objective.loss(params, batch)

    def extra(gradient: PyTree, params: PyTree) -> dict[str, Any]:
        known: dict[str, Callable[[], Any]] = {
            "value": lambda: loss(params),  # line searches, Polyak steps
            "grad": lambda: gradient,
            "value_fn": lambda: loss,
            "obj_fn": lambda: loss,  # Sophia's Hessian
            "grad_fn": lambda: lambda params, *_: objective.gradient(params, batch),  # SAM
        }
        return {name: make() for name, make in known.items() if takes_any or name in names}

    return extra


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
    if isinstance(slope, optax.LookaheadParams):
        slope = slope.fast
    return jax.tree.map(
        lambda g, is_zero, s: jnp.where(is_zero & ~jnp.isfinite(s), jax.lax.stop_gradient(g), g),
        gradient,
        zero,
        slope,
    )


@register("gradient_descent")
def _untrained_sgd(params: PyTree, *, steps: int, rate: float) -> GradientDescent:
    sgd = optax.inject_hyperparams(optax.sgd)(learning_rate=rate)
    return GradientDescent(sgd, recipe="gradient_descent")


@register("adam")
def _untrained_adam(params: PyTree, *, steps: int, rate: float) -> GradientDescent:
    # Only what stays meaningful when an outer step moves it: b2 = 0.999 would soon exceed 1.
    adam = optax.inject_hyperparams(optax.adam, static_args=("b2", "eps", "eps_root"))
    return GradientDescent(adam(learning_rate=rate), recipe="adam")


@register("none")
def _no_step(params: PyTree, *, steps: int, rate: float) -> GradientDescent:
    return GradientDescent(optax.set_to_zero(), recipe="none")
