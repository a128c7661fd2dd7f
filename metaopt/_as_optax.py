"""Any rule as an optax transformation, for an ordinary training loop."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree, Scalar

from metaopt._door import require_optimizer
from metaopt._objectives import CurvedObjective, Objective, Quadratic
from metaopt._pytree import static
from metaopt.optimizers._base import InnerOptimizer


class _Given(Objective):
    """What an optax loop tells of its loss: the gradient, perhaps the value, and the function."""

    updates: PyTree
    value: Scalar
    value_fn: Callable[..., Scalar] | None = static()

    def loss(self, params: PyTree, batch: PyTree) -> Scalar:
        return self.value if self.value_fn is None else self.value_fn(params)

    def gradient(self, params: PyTree, batch: PyTree) -> PyTree:
        return self.updates


class _GivenCurved(_Given, CurvedObjective):
    objective: CurvedObjective
    batch: PyTree

    def quadratic(self, params: PyTree, batch: PyTree) -> Quadratic:
        return self.updates, self.objective.quadratic(params, self.batch)[1]

    def loss(self, params: PyTree, batch: PyTree) -> Scalar:
        return self.objective.loss(params, self.batch)


def as_optax(optimizer: InnerOptimizer) -> optax.GradientTransformationExtraArgs:
    """The rule as an optax transformation: alone, in a chain, masked, in MultiSteps.

        transformation = metaopt.as_optax(rule)
        state = transformation.init(params)
        value, gradient = jax.value_and_grad(loss)(params, batch)
        updates, state = transformation.update(gradient, state, params, value=value)
        params = optax.apply_updates(params, updates)

    are the steps of `metaopt.fit(rule, metaopt.ScalarLoss(loss), params, batch, ...)`. Beside
    optax's own arguments `update` takes

    - `value`: the loss at the params. A rule that `reads_loss` needs it; what any other makes of
      the loss is NaN without.
    - `value_fn`: the loss as a function of the params, for a rule that asks for it elsewhere.
    - `objective` and `batch`: for a rule that needs curvature (`SteepestDescent`, `GaussNewton`,
      `LevenbergMarquardt`), the `LeastSquares` or `CompositeLoss` whose gradient the updates are.

    The rule follows the updates that it is handed, clipped or masked as they may be.

    Args:
        optimizer: the rule; its leaves stay leaves only if the transformation is made where they
            are traced.

    Raises:
        ValueError: by `update`, if the params are missing, or the value that the rule needs.
        TypeError: by `update`, if the rule needs curvature and there is none.
    """
    require_optimizer(optimizer)

    def update(
        updates: PyTree,
        state: PyTree,
        params: PyTree = None,
        *,
        value: float | Scalar | None = None,
        value_fn: Callable[..., Scalar] | None = None,
        objective: Objective | None = None,
        batch: PyTree = (),
        **_: Any,
    ) -> tuple[PyTree, PyTree]:
        name = type(optimizer).__name__
        if params is None:
            raise ValueError(f"as_optax({name}): update needs the params, its third argument.")
        if (
            getattr(optimizer, "reads_loss", False)
            and value is None
            and value_fn is None
            and objective is None
        ):
            raise ValueError(f"as_optax({name}): update needs value=, the loss at the params.")
        value = jnp.asarray(jnp.nan if value is None else value)
        given: Objective
        if isinstance(objective, CurvedObjective):
            given = _GivenCurved(updates, value, value_fn, objective, batch)
        else:
            given = _Given(updates, value, value_fn)
        moved, state = optimizer.step(given, params, state, ())
        return jax.tree.map(jnp.subtract, moved, params), state

    return optax.GradientTransformationExtraArgs(optimizer.init, update)
