"""How an outer step comes to the gradient of its loss."""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PyTree, Scalar

from metaopt._evolution import PersistentState, evolution_gradient, persistent_evolution_gradient
from metaopt._leaves import in_words
from metaopt._parallel import mean_over_devices
from metaopt._pytree import Pytree, static

# loss(params, episode) -> (scalar, metrics), and for PersistentEvolution
# loss(params, episode, carry) -> (scalar, metrics, carry)
OuterLoss = Callable[..., tuple[Any, ...]]


class Estimate(NamedTuple):
    """Attributes: the mean loss and metrics over the episodes, its gradient, the new state."""

    value: Scalar
    metrics: dict[str, Array]
    gradient: PyTree
    state: PyTree


class Estimator(Pytree):
    """How the gradient of the mean loss over some episodes is found."""

    @abc.abstractmethod
    def estimate(
        self, loss: OuterLoss, params: PyTree, episodes: PyTree, state: PyTree, step: Int[Array, ""]
    ) -> Estimate:
        """The mean loss over the episodes and its gradient by the params.

        Args:
            loss: of one episode.
            params: the meta-parameters.
            episodes: every leaf has a leading axis of episodes.
            state: of the estimator, for these episodes.
            step: the number of the outer step, from which whatever is random comes.
        """


class Exact(Estimator):
    """Reverse-mode differentiation of the loss."""

    def estimate(
        self, loss: OuterLoss, params: PyTree, episodes: PyTree, state: PyTree, step: Int[Array, ""]
    ) -> Estimate:
        mean = lambda params: mean_loss(loss, params, episodes)
        (value, metrics), gradient = jax.value_and_grad(mean, has_aux=True)(params)
        return Estimate(value, metrics, gradient, state)


class Evolution(Estimator):
    """Evolution strategies, `evolution_gradient` of the mean loss: the loss needs no derivative.

    The metrics are those at the params themselves.

    Args:
        key: a key of `jax.random.key`; every outer step makes its own of it.
        sigma: the standard deviation of the perturbations, above 0.
        pairs: the number of antithetic pairs, 1 or more.
    """

    key: Array
    sigma: float | Scalar
    pairs: int = static()

    def estimate(
        self, loss: OuterLoss, params: PyTree, episodes: PyTree, state: PyTree, step: Int[Array, ""]
    ) -> Estimate:
        mean = lambda params: mean_loss(loss, params, episodes)[0]
        key = jax.random.fold_in(self.key, step)
        value, gradient = evolution_gradient(mean, params, key, sigma=self.sigma, pairs=self.pairs)
        return Estimate(value, mean_loss(loss, params, episodes)[1], gradient, state)


class PersistentEvolution(Estimator):
    """Persistent evolution strategies, on one truncated unroll of each episode an outer step.

    The loss is `loss(params, episode, carry) -> (scalar, metrics, carry)`. Where each episode
    begins, the state of the outer loop gets the carries, and again for new episodes:

        estimator = metaopt.PersistentEvolution(jax.random.key(0), sigma=0.1, pairs=8)
        state = state.replace(estimator_state=estimator.begin(state.params, carries))

    Args:
        key: a key of `jax.random.key`; every outer step makes its own of it.
        sigma: the standard deviation of the perturbations, above 0.
        pairs: the number of antithetic pairs an episode, 1 or more.
    """

    key: Array
    sigma: float | Scalar
    pairs: int = static()

    def begin(self, params: PyTree, carries: PyTree) -> PersistentState:
        """The estimator's state at the beginning of some episodes.

        Args:
            params: the meta-parameters; only shapes and dtypes matter.
            carries: the state of each inner problem before its first step; every leaf has a leading
                axis of episodes.
        """
        create = lambda carry: PersistentState.create(params, carry, pairs=self.pairs)
        return jax.vmap(create)(carries)

    def estimate(
        self, loss: OuterLoss, params: PyTree, episodes: PyTree, state: PyTree, step: Int[Array, ""]
    ) -> Estimate:
        if not isinstance(state, PersistentState):
            raise TypeError(
                "PersistentEvolution needs the carries of the episodes: "
                "state.replace(estimator_state=estimator.begin(state.params, carries))."
            )
        count = len(jax.tree.leaves(episodes)[0])
        keys = jax.random.split(jax.random.fold_in(self.key, step), count)

        def one(episode: PyTree, state: PersistentState, key: Array) -> tuple[Any, ...]:
            # What the pairs report beside their loss goes along with their carries.
            unroll = lambda params, carry: _unroll(loss, params, episode, carry[0])
            first = jax.tree.map(lambda leaf: leaf[0, 0], state.carries)
            empty = jax.eval_shape(lambda: _unroll(loss, params, episode, first)[1][1])
            blank = jax.tree.map(lambda s: jnp.zeros((self.pairs, 2, *s.shape), s.dtype), empty)
            carries = PersistentState((state.carries, blank), state.accumulated)
            value, gradient, after = persistent_evolution_gradient(
                unroll, params, carries, key, sigma=self.sigma
            )
            carry, metrics = after.carries
            return value, metrics, gradient, PersistentState(carry, after.accumulated)

        value, metrics, gradient, state = jax.vmap(one)(episodes, state, keys)
        mean = lambda stack: jax.tree.map(lambda leaf: leaf.mean(0), stack)
        metrics = jax.tree.map(lambda leaf: leaf.mean((0, 1, 2)), metrics)
        return Estimate(value.mean(), metrics, mean(gradient), state)


def _unroll(loss: OuterLoss, params: PyTree, episode: PyTree, carry: PyTree) -> tuple[Any, Any]:
    results = loss(params, episode, carry)
    if not (isinstance(results, tuple) and len(results) == 3 and isinstance(results[1], dict)):
        raise TypeError(
            "for PersistentEvolution the outer loss must return (scalar, metrics, carry), metrics "
            f"a dictionary; it returned {in_words(results)}."
        )
    value, metrics, carry = results
    return value, (carry, metrics)


def mean_loss(loss: OuterLoss, params: PyTree, episodes: PyTree) -> tuple[Scalar, dict[str, Array]]:
    """The mean loss over the episodes, by `vmap` if they are several, and the mean metrics.

    Raises:
        TypeError: if the loss does not return (scalar, metrics).
    """

    def checked(params: PyTree, episode: PyTree) -> tuple[Scalar, dict[str, Array]]:
        results = loss(params, episode)
        if not (isinstance(results, tuple) and len(results) == 2 and isinstance(results[1], dict)):
            raise TypeError(
                "the outer loss must return (scalar, metrics), metrics a dictionary of arrays by "
                f"name, {{}} for none; it returned {in_words(results)}."
            )
        if jnp.shape(results[0]) != ():
            raise TypeError(f"the outer loss has shape {jnp.shape(results[0])}, not a scalar's.")
        return results

    if len(jax.tree.leaves(episodes)[0]) == 1:
        # An axis of one, on every operation, would take longer to compile and run for nothing.
        one = checked(params, jax.tree.map(lambda leaf: leaf[0], episodes))
        losses, metrics = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], one)
    else:
        losses, metrics = jax.vmap(checked, (None, 0))(params, episodes)
    means = losses.mean(), jax.tree.map(lambda leaf: leaf.mean(0), metrics)
    return mean_over_devices(means, params)
