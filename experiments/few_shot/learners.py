"""What is meta-trained: the start of a fit, the rule that moves it, and what is fitted."""

import abc
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Float, PyTree, Scalar

import metaopt
from experiments.few_shot.tasks import Episode, Samples, Task
from models import LeastSquaresHead

Observe = Callable[[PyTree], PyTree]


class Learner(struct.PyTreeNode):
    """A rule, and the network whose part it fits; all leaves are meta-parameters.

    Attributes:
        rule: the inner optimizer.
        network: fitted, or what is fitted sees its features.
        steps: inner steps that it is meta-trained for.
        adjoint: how the outer gradient passes through them.
    """

    rule: metaopt.InnerOptimizer
    network: Any
    steps: int = struct.field(pytree_node=False)
    adjoint: metaopt.Adjoint = struct.field(pytree_node=False)

    @abc.abstractmethod
    def fit(self, task: Task, support: Samples, steps: int, observe: Observe) -> metaopt.FitResult:
        """Fits the params to the support, and records `observe(params)` of every iterate."""

    @abc.abstractmethod
    def predict(self, params: PyTree, inputs: Array) -> Float[Array, "n outputs"]:
        """The outputs of what was fitted."""

    def outer_loss(self, task: Task, episode: Episode) -> tuple[Scalar, dict[str, Array]]:
        """The loss on the query after the fit, and the score."""
        fitted = self.fit(task, episode.support, self.steps, lambda params: None)
        outputs = self.predict(fitted.params, episode.query.inputs)
        targets = episode.query.targets
        return task.loss(outputs, targets), {"score": task.score(outputs, targets)}


class NetworkLearner(Learner):
    """Fits all of the network, from learned initial weights, as MAML does.

    Attributes:
        proximity: of the fit to the initial weights: this half times the squared distance is added
            to what is minimized (Rajeswaran et al., "Meta-Learning with Implicit Gradients",
            NeurIPS 2019, eq. 3), so that the minimum depends on the initial weights.
    """

    proximity: float = struct.field(pytree_node=False, default=0.0)

    def fit(self, task: Task, support: Samples, steps: int, observe: Observe) -> metaopt.FitResult:
        outputs = lambda network, batch: network(batch.inputs)
        criterion = lambda outputs, batch: task.loss(outputs, batch.targets)
        objective: metaopt.Objective = metaopt.CompositeLoss(outputs, criterion)
        if self.proximity:
            objective = self._near_the_initial(objective)
        return metaopt.fit(
            self.rule,
            objective,
            self.network,
            support,
            steps=steps,
            adjoint=self.adjoint,
            observe=observe,
        )

    def predict(self, params: Any, inputs: Array) -> Float[Array, "n outputs"]:
        return params(inputs)

    def _near_the_initial(self, objective: metaopt.Objective) -> metaopt.Objective:
        def loss(network: Any, batch: Samples) -> Scalar:
            moved = jax.tree.map(jnp.subtract, network, self.network)
            distance = optax.tree.norm(moved, squared=True)
            return objective.loss(network, batch) + 0.5 * self.proximity * distance

        return metaopt.ScalarLoss(loss)


class HeadLearner(Learner):
    """Fits a linear head to the network's features by least squares.

    Attributes:
        head: the residuals that are minimized.
        initial: weights that the fit starts from.
    """

    head: LeastSquaresHead
    initial: Float[Array, "features_and_1 outputs"]

    def fit(self, task: Task, support: Samples, steps: int, observe: Observe) -> metaopt.FitResult:
        return metaopt.fit(
            self.rule,
            metaopt.LeastSquares(self.head),
            self.initial,
            (self.network.features(support.inputs), task.encode(support.targets)),
            steps=steps,
            adjoint=self.adjoint,
            observe=observe,
        )

    def predict(self, params: Array, inputs: Array) -> Float[Array, "n outputs"]:
        return self.head.predict(params, self.network.features(inputs))


class ClosedForm(metaopt.InnerOptimizer):
    """Goes to the minimum of a linear least-squares problem in one step.

    Needs residuals that know it: `models.LeastSquaresHead`.
    """

    def init(self, params: PyTree) -> tuple[()]:
        return ()

    def step(
        self, objective: Any, params: PyTree, state: tuple[()], batch: PyTree
    ) -> tuple[PyTree, tuple[()]]:
        return objective.residuals.solution(batch), state
