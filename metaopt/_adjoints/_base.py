"""What an adjoint is, and the inner loop that it runs."""

import abc
import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, Scalar

from metaopt._objectives import Objective
from metaopt._pytree import Pytree
from metaopt.optimizers._base import InnerOptimizer

Carry = tuple[PyTree, PyTree]  # the params and the state of the inner optimizer
Record = tuple[Scalar, PyTree]  # the loss of an iterate and what `observe` returned
Records = tuple[Float[Array, " steps"], PyTree]  # the same, stacked
Body = Callable[[Carry, PyTree], tuple[Carry, Record]]


@dataclasses.dataclass(frozen=True)
class Loop:
    """The inner loop of one fit, as `fit` hands it to an adjoint.

    Attributes:
        optimizer: the rule.
        objective: what is minimized.
        observe: what is recorded of the params beside the loss.
        batch: the samples of every step, or None.
        batches: the samples of each step along a leading axis of `steps`, or None.
        steps: the number of steps.
    """

    optimizer: InnerOptimizer
    objective: Objective
    observe: Callable[[PyTree], PyTree]
    batch: PyTree
    batches: PyTree
    steps: int

    @property
    def xs(self) -> tuple[Array, PyTree]:
        """What the body scans over: the index of each step, and its samples."""
        return jnp.arange(self.steps), self.batches

    def samples(self, slice_: PyTree) -> PyTree:
        """The samples of the step whose slice of `batches` this is."""
        return slice_ if self.batch is None else self.batch

    @property
    def last_samples(self) -> PyTree:
        """The samples of the last step."""
        return self.samples(jax.tree.map(lambda leaf: leaf[-1], self.batches))

    def record(self, params: PyTree, samples: PyTree) -> Record:
        """What is recorded of an iterate."""
        return self.objective.loss(params, samples), self.observe(params)

    def body(
        self,
        objective: Objective | None = None,
        link: Callable[[Carry, Array], Carry] = lambda carry, index: carry,
    ) -> Body:
        """The body of the scan: `body(carry, x) -> carry, record`.

        Args:
            objective: what the steps see; the loop's own by default. The loop's own is recorded.
            link: `link(carry, index)` comes between the recording of an iterate and the step.
        """
        objective = self.objective if objective is None else objective

        def step(carry: Carry, x: tuple[Array, PyTree]) -> tuple[Carry, Record]:
            index, slice_ = x
            samples = self.samples(slice_)
            record = self.record(carry[0], samples)
            params, state = link(carry, index)
            return self.optimizer.step(objective, params, state, samples), record

        return step


class Adjoint(Pytree):
    """How the outer gradient passes through a fit."""

    @abc.abstractmethod
    def run(self, loop: Loop, carry: Carry) -> tuple[Carry, Records]:
        """Runs the loop: the carry after the last step, and the records of the iterates before.

        The values are those of `jax.lax.scan(loop.body(), carry, loop.xs)`; the derivatives are the
        adjoint's own.
        """
