"""The inner gradient as a constant."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import PyTree, Scalar

from metaopt._adjoints._base import Adjoint, Carry, Loop, Records
from metaopt._adjoints._closure import constant, constant_but_first
from metaopt._adjoints._recast import Derivatives
from metaopt._adjoints._scan import rematerialized_scan, save_in_backward
from metaopt._objectives import CurvedObjective, Objective
from metaopt._tree import vdot


class FirstOrder(Adjoint):
    """The inner gradient is a constant: no second derivative of the inner loss is taken.

    For gradient descent this is first-order MAML (Finn et al., "Model-Agnostic Meta-Learning", ICML
    2017, section 5.2), for a learned rule the dropped edges of Andrychowicz et al. ("Learning to
    learn by gradient descent by gradient descent", 2016, section 2).

    What flows: all that a rule makes of the gradients, hence the rule's own leaves, its recurrent
    state and the initial params. What a step computes from the objective depends on nothing, so
    the batch and the objective's meta-parameters are reached through `losses` and `observe` only.
    The curvature is as constant as the gradient: the step length of `SteepestDescent` is a number,
    its learned factor keeps its derivative. A rule that reads the loss itself sees it vary with the
    params, along the constant gradient.
    """

    def run(self, loop: Loop, carry: Carry) -> tuple[Carry, Records]:
        return rematerialized_scan(loop.body(_ConstantGradient()), carry, loop.xs)


@dataclasses.dataclass(frozen=True)
class _ConstantGradient(Derivatives):
    def loss(self, objective: Objective, params: PyTree, batch: PyTree) -> Scalar:
        # A tangent plane, so that a rule that calls `jax.grad(objective.loss)` is first-order too.
        value = constant(lambda p: objective.loss(p, batch), params)
        moved = jax.tree.map(jnp.subtract, params, jax.lax.stop_gradient(params))
        return value + vdot(self.gradient(objective, params, batch), moved).astype(value.dtype)

    def gradient(self, objective: Objective, params: PyTree, batch: PyTree) -> PyTree:
        return save_in_backward(constant(lambda p: objective.gradient(p, batch), params))

    def curvature(
        self, objective: CurvedObjective, params: PyTree, batch: PyTree
    ) -> Callable[[PyTree], Scalar]:
        # Constant, but for a rule that asks for Qv, the slope of v'Qv / 2 by v.
        curvature = lambda v, p: objective.quadratic(p, batch)[1](v)
        return lambda v: constant_but_first(curvature, v, params)
