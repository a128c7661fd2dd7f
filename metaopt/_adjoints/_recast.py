"""An objective whose values are another's and whose derivatives are given."""

import abc
from collections.abc import Callable

from jaxtyping import PyTree, Scalar

from metaopt._objectives import CurvedObjective, Objective, Quadratic
from metaopt._pytree import static


class Derivatives(abc.ABC):
    """How what an inner step computes from an objective is itself differentiated.

    Instances compare by value, as part of the structure of a pytree.
    """

    @abc.abstractmethod
    def loss(self, objective: Objective, params: PyTree, batch: PyTree) -> Scalar:
        """`objective.loss(params, batch)`."""

    @abc.abstractmethod
    def gradient(self, objective: Objective, params: PyTree, batch: PyTree) -> PyTree:
        """`objective.gradient(params, batch)`."""

    @abc.abstractmethod
    def curvature(
        self, objective: CurvedObjective, params: PyTree, batch: PyTree
    ) -> Callable[[PyTree], Scalar]:
        """The function v -> v'Qv of `objective.quadratic(params, batch)`."""


class _Recast(Objective):
    objective: Objective
    derivatives: Derivatives = static()

    @property
    def name(self) -> str:
        return self.objective.name

    def loss(self, params: PyTree, batch: PyTree) -> Scalar:
        return self.derivatives.loss(self.objective, params, batch)

    def gradient(self, params: PyTree, batch: PyTree) -> PyTree:
        return self.derivatives.gradient(self.objective, params, batch)


class _CurvedRecast(_Recast, CurvedObjective):
    objective: CurvedObjective

    def quadratic(self, params: PyTree, batch: PyTree) -> Quadratic:
        curvature = self.derivatives.curvature(self.objective, params, batch)
        return self.gradient(params, batch), curvature


def recast(objective: Objective, derivatives: Derivatives) -> Objective:
    """The objective with the given derivatives; it has curvature if `objective` has."""
    if isinstance(objective, CurvedObjective):
        return _CurvedRecast(objective, derivatives)
    return _Recast(objective, derivatives)
