"""What an adjoint is, and the inner loop that it runs."""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree, Scalar

from metaopt._adjoints._recast import Derivatives, recast
from metaopt._objectives import Objective
from metaopt._pytree import Pytree
from metaopt._stateful import Stateful, bind, look
from metaopt._tree import same_structure
from metaopt.optimizers._base import InnerOptimizer


class Carry(NamedTuple):
    """What goes from step to step.

    Attributes:
        params: the iterate.
        state: of the inner optimizer.
        model_state: of a `Stateful` objective; None for any other.
    """

    params: PyTree
    state: PyTree
    model_state: PyTree


Record = tuple[Scalar, PyTree, PyTree]  # the loss of an iterate, what was observed, and aux
Records = tuple[Float[Array, " steps"], PyTree, PyTree]  # the same, stacked
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
    objective: Objective | Stateful
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

    def record(self, carry: Carry, samples: PyTree) -> Record:
        """What is recorded of an iterate."""
        loss, _, aux = look(self.objective, carry.params, carry.model_state, samples)
        return _scalar(loss, self.objective), self.observe(carry.params), aux

    def body(
        self,
        derivatives: Derivatives | None = None,
        link: Callable[[Carry, Array], Carry] = lambda carry, index: carry,
    ) -> Body:
        """The body of the scan: `body(carry, x) -> carry, record`.

        Args:
            derivatives: how what the steps compute from the objective is differentiated; as it
                stands by default. What is recorded always is.
            link: `link(carry, index)` comes between the recording of an iterate and the step.
        """

        def step(carry: Carry, x: tuple[Array, PyTree]) -> tuple[Carry, Record]:
            index, slice_ = x
            samples = self.samples(slice_)
            record = self.record(carry, samples)
            params, state, model_state = link(carry, index)
            next_model_state = None
            if isinstance(self.objective, Stateful):
                # The compiler merges this evaluation with that of the record.
                _, next_model_state, _ = self.objective.look(params, model_state, samples)
            objective = bind(self.objective, model_state)
            if derivatives is not None:
                objective = recast(objective, derivatives)
            moved = self.optimizer.step(objective, params, state, samples)
            return Carry(*_pair(moved, (params, state), self.optimizer), next_model_state), record

        return step


class Adjoint(Pytree):
    """How the outer gradient passes through a fit."""

    @abc.abstractmethod
    def run(self, loop: Loop, carry: Carry) -> tuple[Carry, Records]:
        """Runs the loop: the carry after the last step, and the records of the iterates before.

        The values are those of `jax.lax.scan(loop.body(), carry, loop.xs)`; the derivatives are the
        adjoint's own.
        """


def _scalar(loss: Any, objective: Objective | Stateful) -> Scalar:
    """The loss, if it is one."""
    name = getattr(objective, "name", type(objective).__name__)
    if isinstance(loss, tuple | list | dict):
        raise TypeError(
            f"the loss of {name} is a {type(loss).__name__}, and has to be a scalar: return the "
            "loss alone; metaopt.Stateful is for auxiliary output."
        )
    if jnp.shape(loss) != ():
        raise TypeError(
            f"the loss of {name} has shape {jnp.shape(loss)}, and has to be a scalar: take its "
            "mean or sum, or metaopt.LeastSquares if it returns residuals."
        )
    if not jnp.issubdtype(jnp.result_type(loss), jnp.floating):
        raise TypeError(f"the loss of {name} is {jnp.result_type(loss)}, and has to be floating.")
    return jnp.asarray(loss)


def _pair(moved: Any, before: tuple[PyTree, PyTree], optimizer: Any) -> tuple[PyTree, PyTree]:
    """What a step returned, if it is params and a state like those before it."""
    rule = type(optimizer).__name__
    if not (isinstance(moved, tuple) and len(moved) == 2):
        raise TypeError(f"{rule}.step must return the pair (params, state), and returned no pair.")
    for role, old, new in zip(("params", "state"), before, moved, strict=True):
        if not same_structure(old, new):
            raise TypeError(
                f"{rule}.step must return {role} of the structure that it was given: given "
                f"{jax.tree.structure(old)}, returned {jax.tree.structure(new)}."
            )
        for (path, a), b in zip(
            jax.tree_util.tree_flatten_with_path(old)[0], jax.tree.leaves(new), strict=True
        ):
            if (jnp.shape(a), jnp.result_type(a)) != (jnp.shape(b), jnp.result_type(b)):
                raise TypeError(
                    f"{rule}.step must keep shapes and dtypes: leaf {role}"
                    f"{jax.tree_util.keystr(path)} was {jnp.result_type(a)}{jnp.shape(a)} and "
                    f"became {jnp.result_type(b)}{jnp.shape(b)}."
                )
    return moved
