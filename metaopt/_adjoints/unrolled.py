"""The exact derivative of every step."""

import jax

from metaopt._adjoints._base import Adjoint, Carry, Loop, Records
from metaopt._adjoints._carried import carried_scan, carries
from metaopt._adjoints._mixed_mode import MixedMode
from metaopt._adjoints._scan import rematerialized_scan
from metaopt._pytree import static


class Unrolled(Adjoint):
    """The exact derivative of every step.

    Args:
        remat: recompute each step in the backward pass, so that memory holds the iterates and not
            the inside of the steps; beyond 16 steps it holds about 2 sqrt(steps) iterates.
        mixed_mode: take the second derivatives of the inner loss forward over reverse (MixFlow-MG,
            Kemaev et al., ICML 2025). The same meta-gradient, in less memory where the inside of a
            step is what fills it. With `remat` the inner gradients are kept beside the iterates.
            Allows reverse mode only: no `jax.jvp` through the fit.
    """

    remat: bool = static(default=True)
    mixed_mode: bool = static(default=False)

    def run(self, loop: Loop, carry: Carry) -> tuple[Carry, Records]:
        scan = rematerialized_scan if self.remat else jax.lax.scan
        if not self.mixed_mode and carries(loop, carry.params):
            return carried_scan(scan, loop, carry)
        body = loop.body(MixedMode() if self.mixed_mode else None)
        return scan(body, carry, loop.xs)
