"""The outer loop's step: the mean loss over a batch of episodes, its gradient, and optax."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Int, PyTree, Scalar

from metaopt._estimators import Estimate, Estimator, Exact, OuterLoss, mean_loss
from metaopt._leaves import floating
from metaopt._pytree import Pytree


class OuterState(Pytree):
    """Where the outer loop stands.

    Attributes:
        params: the meta-parameters, any pytree of floating arrays.
        optimizer_state: of the optax transformation.
        step: the number of outer steps taken, skipped ones included.
        skipped: how many of them were skipped.
        skipped_in_a_row: how many of the latest.
        estimator_state: of the gradient estimator, if it has one.
    """

    params: PyTree
    optimizer_state: Any
    step: Int[Array, ""]
    skipped: Int[Array, ""]
    skipped_in_a_row: Int[Array, ""]
    estimator_state: PyTree = None

    @classmethod
    def create(cls, params: PyTree, transformation: optax.GradientTransformation) -> "OuterState":
        """The state before the first step.

        Raises:
            TypeError: if a leaf of the params is not floating.
        """
        # An array of its own for each leaf and count: a step may give them all up.
        params = jax.tree.map(lambda leaf: jnp.array(leaf, leaf.dtype), floating(params))
        counts = [jnp.zeros((), jnp.int32) for _ in range(3)]
        return cls(params, transformation.init(params), *counts)


def outer_step(
    loss: OuterLoss,
    transformation: optax.GradientTransformation,
    state: OuterState,
    episodes: PyTree,
    at_once: int | None = None,
    estimator: Estimator | None = None,
) -> tuple[OuterState, dict[str, Array]]:
    """One step on a batch of episodes; pure, to be jitted by the caller.

    A step whose loss or gradient is not finite, or whose update would make a meta-parameter or the
    optimizer's state so, leaves all of them as they were and is counted. Inside of `jax.shard_map`
    with replicated params the mean is over the episodes of all devices.

    Args:
        loss: `loss(params, episode) -> (scalar, metrics)` for one episode.
        transformation: the outer optimizer. One that wants the value of the loss, or the loss as a
            function (`optax.lbfgs`, `optax.contrib.reduce_on_plateau`), is given it.
        state: from `OuterState.create` or the step before.
        episodes: every leaf has a leading axis of episodes.
        at_once: so many go through the loss together, by `vmap`, and their gradients are added up:
            a divisor of the number of episodes. Fewer take less memory, and on one CPU core no more
            time; one at a time goes through the loss as it stands, so that conditions stay
            conditions. By default all, as they must where devices share them.
        estimator: how the gradient is found; `Exact()` by default.

    Returns:
        The new state and the mean metrics, with `outer_loss` and `gradient_norm` among them.

    Raises:
        TypeError: if the loss does not return (scalar, metrics).
        ValueError: if the episodes differ in number from leaf to leaf, or `at_once` does not divide
            it.
    """
    count = _count(episodes)
    if at_once is not None and (at_once < 1 or count % at_once):
        raise ValueError(f"at_once = {at_once} does not divide the {count} episodes.")
    estimator = Exact() if estimator is None else estimator
    found = _estimate(estimator, loss, state, episodes, at_once or count)

    def value_fn(params: PyTree) -> Scalar:
        groups = _grouped(episodes, at_once or count)
        return jax.lax.map(lambda group: mean_loss(loss, params, group)[0], groups).mean()

    norm = optax.tree.norm(found.gradient)
    usable = jnp.isfinite(found.value) & jnp.isfinite(norm)
    updates, optimizer_state = optax.with_extra_args_support(transformation).update(
        found.gradient, state.optimizer_state, state.params,
        value=found.value, grad=found.gradient, value_fn=value_fn,
    )  # fmt: skip
    before = state.params, state.optimizer_state
    moved = optax.apply_updates(state.params, updates), optimizer_state
    usable &= _stays_finite(before, moved)
    keep = lambda new, old: jnp.where(usable, new, old)
    params, optimizer_state = jax.tree.map(keep, moved, before)
    skip = (~usable).astype(jnp.int32)
    state = OuterState(
        params=params,
        optimizer_state=optimizer_state,
        step=state.step + 1,
        skipped=state.skipped + skip,
        skipped_in_a_row=(state.skipped_in_a_row + 1) * skip,
        estimator_state=found.state,
    )
    return state, {**found.metrics, "outer_loss": found.value, "gradient_norm": norm}


def _estimate(
    estimator: Estimator, loss: OuterLoss, state: OuterState, episodes: PyTree, at_once: int
) -> Estimate:
    """The estimate over all episodes, taken in groups."""

    def one(group: tuple[PyTree, PyTree]) -> Estimate:
        episodes, own_state = group
        return estimator.estimate(loss, state.params, episodes, own_state, state.step)

    if at_once == _count(episodes):
        return one((episodes, state.estimator_state))
    groups = _grouped((episodes, state.estimator_state), at_once)
    parts: Estimate = jax.lax.map(one, groups)
    mean = lambda stack: jax.tree.map(lambda leaf: leaf.mean(0), stack)
    joined = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), parts.state)
    return Estimate(mean(parts.value), mean(parts.metrics), mean(parts.gradient), joined)


def _count(episodes: PyTree) -> int:
    """The number of episodes."""
    counts = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(episodes)}
    if len(counts) != 1 or counts == {()}:
        raise ValueError(
            "every leaf of the episodes needs the same leading axis, one entry an episode; theirs "
            f"are {sorted(counts)}. Stack a list of episodes, padded to one shape."
        )
    return int(counts.pop()[0])


def _grouped(tree: PyTree, at_once: int) -> PyTree:
    return jax.tree.map(lambda leaf: leaf.reshape(-1, at_once, *leaf.shape[1:]), tree)


def _stays_finite(before: PyTree, after: PyTree) -> Bool[Array, ""]:
    """Whether nothing that was finite (a best value so far may not be) has ceased to be."""
    lost = jax.tree.map(lambda old, new: (jnp.isfinite(old) & ~jnp.isfinite(new)).any(),
                        *(_inexact(tree) for tree in (before, after)))  # fmt: skip
    return ~jnp.stack([jnp.array(False), *lost]).any()


def _inexact(tree: PyTree) -> list[Array]:
    leaves = jax.tree.leaves(tree)
    return [leaf for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.inexact)]
