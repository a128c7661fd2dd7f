"""The derivative of the last steps only."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from metaopt._adjoints._base import Adjoint, Carry, Loop, Records
from metaopt._adjoints._scan import rematerialized_scan
from metaopt._pytree import static


class Truncated(Adjoint):
    """Backpropagation through at most `window` steps.

    The iterate is detached before every step that has a multiple of `window` steps left to go, but
    never before the first step. So the final params depend on the last `window` steps exactly, and
    whatever is observed at an earlier iterate on at most `window` steps before it; a `window` of
    all steps is `Unrolled()`. A detached iterate is observed before it is detached: each step is
    supervised by what follows it up to the next cut.

    A loss of the final params alone costs the backward pass, and the memory, of `window` steps,
    unless the derivative goes on through the state.

    Args:
        window: 1 or more.
        detach_state: detach the inner optimizer's state with the params. Without, the derivative
            goes on through a momentum or a recurrent state while the params are cut: with
            `window=1` that is how ROAM (Yang et al., CVPR 2020) trains its LSTM in its published
            code.

    Raises:
        ValueError: if `window` is below 1.
    """

    window: int = static()
    detach_state: bool = static(default=True)

    def __post_init__(self) -> None:
        if self.window < 1:
            raise ValueError(f"Truncated needs a window of 1 step or more, not {self.window}.")

    def run(self, loop: Loop, carry: Carry) -> tuple[Carry, Records]:
        def cut(carry: Carry, index: int | Array) -> Carry:
            here = (loop.steps - index) % self.window == 0
            return self._detach(carry, here & (index > 0))

        start = max(loop.steps - self.window, 0)
        if start == 0:
            return rematerialized_scan(loop.body(), carry, loop.xs)
        if not self.detach_state and any(map(_differentiable, jax.tree.leaves(carry.state))):
            # Through the state every step has a derivative.
            return rematerialized_scan(loop.body(link=cut), carry, loop.xs)
        before = jax.tree.map(lambda leaf: leaf[:start], loop.xs)
        after = jax.tree.map(lambda leaf: leaf[start:], loop.xs)
        carry, head = rematerialized_scan(loop.body(link=cut), carry, before)
        # The last cut stands outside of the scans: where nothing but the final params is used, JAX
        # sees that the steps before it have no derivative at all.
        _, first = jax.tree.map(lambda leaf: leaf[0], after)
        seam = loop.record(carry, loop.samples(first))
        carry, tail = rematerialized_scan(loop.body(), cut(carry, start), after)
        stack = lambda head, seam, tail: jnp.concatenate([head, seam[None], tail[1:]])
        return carry, jax.tree.map(stack, head, seam, tail)

    def _detach(self, carry: Carry, here: bool | Array) -> Carry:
        def detach(leaf: Array) -> Array:
            if here is True or not _differentiable(leaf):
                return jax.lax.stop_gradient(leaf)
            return jnp.where(here, jax.lax.stop_gradient(leaf), leaf)

        detached: Carry = jax.tree.map(detach, carry)
        return detached if self.detach_state else detached._replace(state=carry.state)


def _differentiable(leaf: Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.inexact)
