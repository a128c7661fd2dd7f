"""Training networks from random weights: what a general learned optimizer is for."""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Float, Scalar, UInt8

import metaopt
from experiments.few_shot.tasks import Samples
from experiments.few_shot.tasks.digits import digits_by_class
from experiments.few_shot.tasks.sinusoid import Sinusoid
from models import MLP


class Problem(NamedTuple):
    """One network to be trained.

    Attributes:
        network: random weights.
        batches: the samples of each step, with a leading axis of steps.
        whole: the samples on which the loss is reported.
        key: of what else is random in a meta-training.
    """

    network: MLP
    batches: Samples
    whole: Samples
    key: Array


class SineWaves(struct.PyTreeNode):
    """A random network is fitted to a random sine wave, 20 fresh points a step.

    Attributes:
        steps: of a training.
    """

    steps: int = struct.field(pytree_node=False)
    stride: ClassVar[int] = 10

    def sample(self, key: Array, *, training: bool = True) -> Problem:
        """A problem; `training` changes nothing, since no two are alike."""
        task = Sinusoid(shots=20 * self.steps)
        task_key, network_key, rule_key = jax.random.split(key, 3)
        points, whole = task.sample(task_key, training=False)
        batches = jax.tree.map(lambda leaf: leaf.reshape(self.steps, 20, 1), points)
        return Problem(task.network(network_key), batches, whole, rule_key)

    def loss(self, outputs: Float[Array, "n 1"], targets: Float[Array, "n 1"]) -> Scalar:
        """Mean squared error."""
        return jnp.mean((outputs - targets) ** 2)


class AllDigits(struct.PyTreeNode):
    """A random network learns to tell all ten digits apart, 64 images a step.

    Attributes:
        images: all of scikit-learn's.
        labels: which digit each shows.
        steps: of a training.
    """

    images: UInt8[Array, "n 64"]
    labels: Array
    steps: int = struct.field(pytree_node=False)

    @classmethod
    def create(cls, steps: int) -> "AllDigits":
        """From the installed package."""
        classes = digits_by_class()
        images = jnp.concatenate([images.reshape(len(images), 64) for images in classes])
        labels = jnp.repeat(jnp.arange(10), jnp.array([len(images) for images in classes]))
        return cls(images, labels, steps)

    def sample(self, key: Array) -> Problem:
        """Random weights and random batches."""
        network_key, batch_key = jax.random.split(key)
        whole = Samples(self.images / 255, self.labels)
        chosen = jax.random.randint(batch_key, (self.steps, 64), 0, len(self.labels))
        batches = jax.tree.map(lambda leaf: leaf[chosen], whole)
        return Problem(MLP(64, 10, key=network_key), batches, whole, key)

    def loss(self, outputs: Float[Array, "n 10"], targets: Array) -> Scalar:
        """Cross-entropy."""
        return optax.softmax_cross_entropy_with_integer_labels(outputs, targets).mean()


def losses(
    family: Any, rule: metaopt.InnerOptimizer, problem: Problem, adjoint: metaopt.Adjoint
) -> Float[Array, " steps_plus_1"]:
    """The loss on the whole of a problem before each step of a rule and after the last."""

    def loss(network: MLP, samples: Samples) -> Scalar:
        return family.loss(network(samples.inputs), samples.targets)

    return metaopt.fit(
        rule,
        metaopt.ScalarLoss(loss),
        problem.network,
        batches=problem.batches,
        steps=family.steps,
        adjoint=adjoint,
        observe=lambda network: loss(network, problem.whole),
    ).observed


class RuleLearner(struct.PyTreeNode):
    """A rule that is meta-trained to train networks from random weights.

    The outer loss is the mean over the steps of the loss relative to that at the beginning, with
    the inner gradients as constants: Andrychowicz et al., "Learning to learn by gradient descent by
    gradient descent", NeurIPS 2016, eq. 3 and section 2. Coordinates are scaled at random, as in
    ROAM (Yang et al. 2020, section 3.3), so that the rule bears other magnitudes elsewhere.

    Attributes:
        rule: fits params of any shapes.
        scaling: the range of the logarithms of those factors.
    """

    rule: metaopt.CoordinatewiseRNN
    scaling: float = struct.field(pytree_node=False, default=1.0)

    def outer_loss(self, family: SineWaves, problem: Problem) -> tuple[Scalar, dict[str, Array]]:
        """Of one problem."""
        rule = metaopt.RandomScaling(self.rule, problem.network, problem.key, self.scaling)
        found = losses(family, rule, problem, metaopt.FirstOrder())
        relative = found / jax.lax.stop_gradient(found[0])
        return relative[1:].mean(), {"last_loss": found[-1]}


@jax.jit
def mean_losses(
    family: Any, rule: metaopt.InnerOptimizer, keys: Array
) -> Float[Array, " steps_plus_1"]:
    """The mean of `losses` over a problem for each key."""
    one = lambda key: losses(family, rule, family.sample(key), metaopt.FirstOrder())
    return jax.vmap(one)(keys).mean(0)


def best_rate(
    family: Any, make: Callable[[Array], metaopt.InnerOptimizer], keys: Array, rates: Array
) -> tuple[float, Float[Array, " steps_plus_1"]]:
    """The rate at which a rule ends with the lowest mean loss, and its losses.

    Args:
        family: of problems.
        make: the rule at a rate.
        keys: of the problems.
        rates: to try.
    """
    curves = jax.lax.map(lambda rate: mean_losses(family, make(rate), keys), rates)
    final = jnp.where(jnp.isfinite(curves[:, -1]), curves[:, -1], jnp.inf)
    best = int(jnp.argmin(final))
    return float(rates[best]), curves[best]


def steps_to(curve: Float[Array, " steps_plus_1"], loss: float) -> int | None:
    """The first step after which the loss is reached; None if it never is."""
    reached = jnp.flatnonzero(curve <= loss)
    return int(reached[0]) if len(reached) else None
