"""The methods of few-shot learning as rows of one table: rule, outer gradient, what is fitted."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

import metaopt
from experiments.few_shot.learners import ClosedForm, HeadLearner, Learner, NetworkLearner
from experiments.few_shot.tasks import Task
from models import LeastSquaresHead

_ADAM_RATE = 0.01  # Adam's steps are about as long as its rate, whatever the gradient
_PROXIMITY = 2.0  # Rajeswaran et al. 2019, section 5: lambda of Omniglot

MakeRule = Callable[[PyTree, int, float], metaopt.InnerOptimizer]


@dataclasses.dataclass(frozen=True)
class Method:
    """A row.

    Attributes:
        rule: `rule(params, steps, rate)` makes the inner optimizer.
        learns_rule: whether the rule's leaves are meta-learned, or stay as they are.
        fits_head: whether a least-squares head is fitted, or the whole network.
        adjoint: how the outer gradient passes through the fit.
        proximity: see `NetworkLearner`.
        steps: inner steps, if not as many as the task says.
        rate: a step length, if not that of the task.
    """

    rule: MakeRule
    learns_rule: bool = True
    fits_head: bool = False
    adjoint: metaopt.Adjoint = metaopt.Unrolled(remat=False)  # a few steps fit into memory
    proximity: float = 0.0
    steps: int | None = None
    rate: float | None = None

    def learner(self, task: Task, key: Array, steps: int | None = None) -> Learner:
        """The method on a task, with nothing learned.

        Args:
            task: the family of tasks.
            key: of the random weights.
            steps: inner steps; by default those of the method or the task.
        """
        steps = steps or self.steps or task.inner_steps
        network, rate = task.network(key), self.rate or task.rate
        if not self.fits_head:
            rule = self.rule(network, steps, rate)
            return NetworkLearner(rule, network, steps, self.adjoint, self.proximity)
        episode = jax.eval_shape(lambda key: task.sample(key, training=True), key)
        features = jax.eval_shape(network.features, episode.support.inputs)
        initial = jnp.zeros((features.shape[1] + 1, task.outputs))
        head = LeastSquaresHead(scale=task.head_scale)
        rule = self.rule(initial, steps, rate)
        return HeadLearner(rule, network, steps, self.adjoint, head, initial)


def _named(name: str) -> MakeRule:
    return lambda params, steps, rate: metaopt.optimizers.make(name, params, steps=steps, rate=rate)


def _rates(granularity: str, per_step: bool) -> MakeRule:
    return lambda params, steps, rate: metaopt.LearnedRates(
        params, steps=steps if per_step else 1, granularity=granularity, initial_rate=rate
    )


_GRADIENT_DESCENT = _named("gradient_descent")

# Rules of metaopt by their own names, each fitting the whole network, beside the methods of papers.
METHODS: dict[str, Method] = {name: Method(_named(name)) for name in metaopt.optimizers.names()} | {
    # Finn et al., "Model-Agnostic Meta-Learning", ICML 2017, Algorithm 1.
    "maml": Method(_GRADIENT_DESCENT, learns_rule=False),
    # The same, section 5.2, "first order approximation".
    "first_order_maml": Method(_GRADIENT_DESCENT, learns_rule=False, adjoint=metaopt.FirstOrder()),
    # Rajeswaran et al., "Meta-Learning with Implicit Gradients", NeurIPS 2019, Algorithm 1: 16
    # steps and 5 of conjugate gradients (section 5).
    "implicit_maml": Method(
        _GRADIENT_DESCENT,
        learns_rule=False,
        adjoint=metaopt.Implicit(damping=1.0, max_iterations=5, unconverged="ignore"),
        proximity=_PROXIMITY,
        steps=16,
    ),
    # Li et al., "Meta-SGD", 2017, eq. 1.
    "meta_sgd": Method(_rates("parameter", per_step=False)),
    # Antoniou et al., "How to Train Your MAML", ICLR 2019, section 4, "LSLR".
    "per_step_rates": Method(_rates("tensor", per_step=True)),
    # Bhat et al., "Learning Discriminative Model Prediction for Tracking", ICCV 2019, Algorithm 1.
    "steepest_descent": Method(_named("steepest_descent"), fits_head=True, steps=5),
    # Those of metaopt that ask for the curvature of least squares, which the head has.
    "gauss_newton": Method(_named("gauss_newton"), fits_head=True, steps=5),
    "levenberg_marquardt": Method(_named("levenberg_marquardt"), fits_head=True, steps=5),
    # Bertinetto et al., "Meta-Learning with Differentiable Closed-Form Solvers", ICLR 2019.
    "ridge": Method(lambda params, steps, rate: ClosedForm(), fits_head=True, steps=1),
    "adam": Method(_named("adam"), rate=_ADAM_RATE),
}
