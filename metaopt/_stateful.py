"""Objectives that carry state from step to step and tell more than their loss."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree, Scalar

from metaopt._leaves import in_words
from metaopt._objectives import Objective, ScalarLoss
from metaopt._pytree import Pytree, static


class Stateful(Pytree):
    """An objective with model state: BatchNorm's statistics, random keys, a count.

        objective = metaopt.Stateful(loss)
        result = metaopt.fit(rule, objective, params, batch, steps=5, model_state=model_state)
        result.model_state, result.aux

    `fit` evaluates the function once at each iterate, before the step, and hands the model state
    that it returns to the next: so the state moves once a step whatever the rule computes and
    whatever the adjoint recomputes. For the step itself it is as constant as the batch. The outer
    gradient flows along it from step to step; `Truncated` cuts it with the params, and for
    `Implicit` the last one is a constant.

    A flax module with Dropout, BatchNorm or a recurrent cell is split in two lines:

        graphdef, params, model_state = nnx.split(module, nnx.Param, ...)

        def loss(params, model_state, batch):
            module = nnx.merge(graphdef, params, model_state)
            value = jnp.mean((module(batch) - 1) ** 2)
            return value, nnx.state(module, nnx.Not(nnx.Param)), {"value": value}

    Args:
        function: `function(params, model_state, batch) -> (value, model_state, aux)`. The new model
            state is of the structure, shapes and dtypes of the old one; `aux` is any pytree of
            arrays, None without. Static or a pytree as in `ScalarLoss`.
        kind: what kind of objective the value makes of it: `ScalarLoss`, `LeastSquares` (the value
            is the residuals), or a function that takes `f(params, batch) -> value` and returns an
            objective.
    """

    function: Callable[[PyTree, PyTree, PyTree], tuple[PyTree, PyTree, PyTree]]
    kind: Callable[[Callable[..., Any]], Objective] = static()

    def __init__(
        self,
        function: Callable[[PyTree, PyTree, PyTree], tuple[PyTree, PyTree, PyTree]],
        kind: Callable[[Callable[..., Any]], Objective] = ScalarLoss,
    ) -> None:
        is_leaf = jax.tree_util.all_leaves([function])
        self._set(function=jax.tree_util.Partial(function) if is_leaf else function, kind=kind)

    def at(self, model_state: PyTree) -> Objective:
        """The objective of a step, for which the model state is a constant."""
        return self.kind(lambda params, batch: self._call(params, model_state, batch)[0])

    def look(
        self, params: PyTree, model_state: PyTree, batch: PyTree
    ) -> tuple[Scalar, PyTree, PyTree]:
        """The loss, the next model state, and the auxiliary output.

        Raises:
            TypeError: if the function returns anything but its three results, or a model state of
                another structure, shape or dtype.
        """
        value, after, aux = self._call(params, model_state, batch)
        loss = self.kind(lambda params, batch: value).loss(params, batch)
        expected, got = (jax.tree.map(_aval, tree) for tree in (model_state, after))
        if expected != got:
            raise TypeError(
                "the function of a Stateful objective must return a model state of the structure, "
                f"shapes and dtypes that it was given: given {expected}, returned {got}."
            )
        return loss, after, aux

    def _call(
        self, params: PyTree, model_state: PyTree, batch: PyTree
    ) -> tuple[PyTree, PyTree, PyTree]:
        # Copies made here: a flax module refuses to change what is of another trace.
        params, model_state = jax.tree.map(lambda leaf: leaf, (params, model_state))
        results = self.function(params, model_state, batch)
        if not (isinstance(results, tuple) and len(results) == 3):
            raise TypeError(
                "the function of a Stateful objective must return (value, model_state, aux), with "
                f"None for what there is not; it returned {in_words(results)}."
            )
        return results


def bind(objective: Objective | Stateful, model_state: PyTree) -> Objective:
    """What a step minimizes."""
    return objective.at(model_state) if isinstance(objective, Stateful) else objective


def look(
    objective: Objective | Stateful, params: PyTree, model_state: PyTree, batch: PyTree
) -> tuple[Scalar, PyTree, PyTree]:
    """The loss at an iterate, the next model state, and the auxiliary output."""
    if isinstance(objective, Stateful):
        return objective.look(params, model_state, batch)
    return objective.loss(params, batch), None, None


def _aval(leaf: Any) -> str:
    return f"{jnp.result_type(leaf)}{list(jnp.shape(leaf))}"
