"""What cannot be right is refused at the door, before anything is traced, in one sentence."""

import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import PyTree

from metaopt._adjoints import Adjoint
from metaopt._objectives import Objective
from metaopt._stateful import Stateful
from metaopt._tree import same_structure
from metaopt.optimizers._base import InnerOptimizer

_NUMBERS = (jax.Array, np.ndarray, np.generic, bool, int, float)


def require_optimizer(optimizer: Any) -> None:
    """Refuses what is no inner optimizer.

    Raises:
        TypeError: naming what it is, and what to write.
    """
    name = getattr(optimizer, "__name__", type(optimizer).__name__)
    if isinstance(optimizer, type):
        raise TypeError(f"the optimizer is the class {name}; give an instance: {name}(...).")
    if isinstance(optimizer, Objective | Stateful):
        raise TypeError(
            f"the optimizer is an objective, {name}: fit takes (optimizer, objective, params)."
        )
    if isinstance(optimizer, optax.GradientTransformation):
        raise TypeError(
            "the optimizer is a bare optax transformation: write metaopt.GradientDescent(...) "
            "around it."
        )
    if isinstance(optimizer, str):
        raise TypeError(
            f"the optimizer is the string {optimizer!r}: make the rule of a name by "
            "metaopt.optimizers.make(name, params, steps=..., rate=...)."
        )
    for method in ("init", "step"):
        if not callable(getattr(optimizer, method, None)):
            raise TypeError(
                f"the optimizer, {name}, has no method {method!r}: derive it from "
                "metaopt.InnerOptimizer, which says what a rule is."
            )
    if not all(isinstance(leaf, _NUMBERS) for leaf in jax.tree.leaves(optimizer)):
        _refuse_leaf_of(optimizer)


def _refuse_leaf_of(optimizer: InnerOptimizer) -> None:
    for path, leaf in jax.tree_util.tree_flatten_with_path(optimizer)[0]:
        if not isinstance(leaf, _NUMBERS):
            raise TypeError(
                f"leaf {jax.tree_util.keystr(path)} of {type(optimizer).__name__} is "
                f"{type(leaf).__name__} {leaf!r:.40}, and a rule's leaves are arrays: declare the "
                "field by metaopt.static()."
            )


def require_objective(objective: Any) -> None:
    """Refuses what is no objective.

    Raises:
        TypeError: naming what it is, and what to write.
    """
    if isinstance(objective, Objective | Stateful):
        return
    name = getattr(objective, "__name__", type(objective).__name__)
    if isinstance(objective, type):
        raise TypeError(f"the objective is the class {name}; give an instance: {name}(...).")
    if callable(getattr(objective, "step", None)):
        raise TypeError(
            f"the objective is an optimizer, {name}: fit takes (optimizer, objective, params)."
        )
    remedy = "metaopt.ScalarLoss(loss), metaopt.LeastSquares(residuals) or metaopt.CompositeLoss"
    kind = "a plain function" if callable(objective) else f"{type(objective).__name__}"
    raise TypeError(f"the objective is {kind}, {name}: write {remedy} around a function.")


def require_adjoint(adjoint: Any) -> None:
    """Refuses what is no adjoint.

    Raises:
        TypeError: naming what it is, and what to write.
    """
    if isinstance(adjoint, Adjoint):
        return
    if isinstance(adjoint, type):
        name = adjoint.__name__
        raise TypeError(f"the adjoint is the class {name}; give an instance: {name}(...).")
    raise TypeError(
        f"the adjoint is {adjoint!r:.40}; give metaopt.Unrolled(), Truncated(window), FirstOrder() "
        "or Implicit()."
    )


def whole_number(steps: Any) -> int:
    """The number of steps.

    Raises:
        TypeError: if it is traced or not whole.
        ValueError: if it is negative.
    """
    if isinstance(steps, jax.core.Tracer):
        raise TypeError(
            "`steps` is traced, and the length of a fit is part of the program: give the largest "
            "number, and as the optimizer metaopt.ActiveSteps(optimizer, n) with the traced one."
        )
    try:
        steps = operator.index(steps)
    except TypeError:
        raise TypeError(f"`steps` is {steps!r}, and has to be an int.") from None
    if steps < 0:
        raise ValueError(f"fit takes 0 steps or more, not {steps}.")
    return steps


def require_batch(batch: PyTree, batches: PyTree, steps: int) -> None:
    """Refuses anything but one batch, or one a step.

    Raises:
        ValueError: naming what was given.
    """
    if (batch is None) == (batches is None):
        given = "neither was given" if batch is None else "both were given"
        raise ValueError(
            "fit takes exactly one of `batch` (used at every step) and `batches` (one a step), and "
            f"{given}; batch=() is for an objective that needs none."
        )
    if batches is None:
        return
    lengths = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(batches)}
    if lengths != {(steps,)} or steps == 0:
        raise ValueError(
            f"Every leaf of `batches` needs a leading axis of length steps = {steps} >= 1; "
            f"theirs are {sorted(lengths)}."
        )


def require_model_state(objective: Any, model_state: PyTree) -> None:
    """Refuses a model state without use, and a `Stateful` objective without one.

    Raises:
        TypeError: naming which.
    """
    stateful = isinstance(objective, Stateful)
    if stateful and model_state is None:
        raise TypeError("a Stateful objective needs its first `model_state`; () is an empty one.")
    if model_state is not None and not stateful:
        raise TypeError(
            f"`model_state` is for an objective metaopt.Stateful, and this is "
            f"{type(objective).__name__}."
        )


def require_state(optimizer: InnerOptimizer, params: PyTree, state: PyTree) -> None:
    """Refuses a state that the optimizer would not have for such params.

    Raises:
        ValueError: naming what differs.
    """
    expected = jax.eval_shape(optimizer.init, params)
    shapes = lambda tree: [jnp.shape(leaf) for leaf in jax.tree.leaves(tree)]
    name = type(optimizer).__name__
    if hasattr(state, "losses") and hasattr(state, "state"):
        raise ValueError("`state` is the result of a fit: give its field, result.state.")
    if not same_structure(expected, state):
        raise ValueError(
            f"`state` is of another rule than this {name}: expected "
            f"{jax.tree.structure(expected)}, got {jax.tree.structure(state)}."
        )
    if shapes(expected) != shapes(state):
        raise ValueError(
            f"`state` of {name} is for params of other shapes: its leaves would be "
            f"{shapes(expected)} and are {shapes(state)}."
        )
