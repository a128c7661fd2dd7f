"""The outer loop's step: the mean loss over a batch of episodes, its gradient, and optax."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, PyTree, Scalar

from metaopt._pytree import Pytree

OuterLoss = Callable[[PyTree, PyTree], tuple[Scalar, dict[str, Array]]]


class OuterState(Pytree):
    """Where the outer loop stands.

    Attributes:
        params: the meta-parameters, any pytree of floating arrays.
        optimizer_state: of the optax transformation.
        step: the number of outer steps taken, skipped ones included.
        skipped: how many of them were skipped.
        skipped_in_a_row: how many of the latest.
    """

    params: PyTree
    optimizer_state: Any
    step: Int[Array, ""]
    skipped: Int[Array, ""]
    skipped_in_a_row: Int[Array, ""]

    @classmethod
    def create(cls, params: PyTree, transformation: optax.GradientTransformation) -> "OuterState":
        """The state before the first step."""
        # Strong types, as every later step has them: a weak one would compile the step twice.
        params = jax.tree.map(lambda leaf: jnp.array(leaf, jnp.result_type(leaf)), params)
        # An array for each count: a step may give them all up.
        counts = [jnp.zeros((), jnp.int32) for _ in range(3)]
        return cls(params, transformation.init(params), *counts)


def outer_step(
    loss: OuterLoss,
    transformation: optax.GradientTransformation,
    state: OuterState,
    episodes: PyTree,
    at_once: int | None = None,
) -> tuple[OuterState, dict[str, Array]]:
    """One step on a batch of episodes; pure, to be jitted by the caller.

    A step whose loss or gradient is not finite leaves the params and the optimizer as they were and
    is counted.

    Args:
        loss: `loss(params, episode) -> (scalar, metrics)` for one episode.
        transformation: the outer optimizer.
        state: from `OuterState.create` or the step before.
        episodes: every leaf has a leading axis of episodes.
        at_once: so many go through the loss together, by `vmap`, and their gradients are added up:
            a divisor of the number of episodes. Fewer take less memory, and on one CPU core no more
            time. By default all, as they must where devices share them.

    Returns:
        The new state and the mean metrics, with `outer_loss` and `gradient_norm` among them.
    """

    def mean_loss(params: PyTree, episodes: PyTree) -> tuple[Scalar, dict[str, Array]]:
        losses, metrics = jax.vmap(loss, (None, 0))(params, episodes)
        return losses.mean(), _mean(metrics)

    outer_gradient = jax.value_and_grad(mean_loss, has_aux=True)
    if at_once is None:
        (value, metrics), gradient = outer_gradient(state.params, episodes)
    else:
        in_groups = lambda leaf: leaf.reshape(-1, at_once, *leaf.shape[1:])
        groups = jax.tree.map(in_groups, episodes)
        parts = jax.lax.map(lambda group: outer_gradient(state.params, group), groups)
        (value, metrics), gradient = _mean(parts)
    norm = optax.tree.norm(gradient)
    usable = jnp.isfinite(value) & jnp.isfinite(norm)
    updates, optimizer_state = transformation.update(gradient, state.optimizer_state, state.params)
    moved = optax.apply_updates(state.params, updates), optimizer_state
    keep = lambda new, old: jnp.where(usable, new, old)
    params, optimizer_state = jax.tree.map(keep, moved, (state.params, state.optimizer_state))
    skip = (~usable).astype(jnp.int32)
    state = OuterState(
        params=params,
        optimizer_state=optimizer_state,
        step=state.step + 1,
        skipped=state.skipped + skip,
        skipped_in_a_row=(state.skipped_in_a_row + 1) * skip,
    )
    return state, {**metrics, "outer_loss": value, "gradient_norm": norm}


def _mean(stack: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf: leaf.mean(0), stack)
