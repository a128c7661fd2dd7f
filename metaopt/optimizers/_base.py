"""What every inner optimizer is, and the register that trackers and programs choose from."""

import abc
from collections.abc import Callable

from jaxtyping import PyTree

from metaopt._objectives import Objective
from metaopt._pytree import Pytree


class InnerOptimizer(Pytree):
    """A rule that moves the inner parameters; its leaves are meta-parameters.

    Any pytree with these two methods will do; this class spares the registration. Both are pure,
    and right under jit, vmap and grad.
    """

    @abc.abstractmethod
    def init(self, params: PyTree) -> PyTree:
        """The state before the first step: a pytree of arrays."""

    @abc.abstractmethod
    def step(
        self, objective: Objective, params: PyTree, state: PyTree, batch: PyTree
    ) -> tuple[PyTree, PyTree]:
        """One step: the new params, of the same structure, shapes and dtypes, and the new state."""


# Builds a rule with untrained meta-parameters; its arguments are those of `make` after the name.
RuleFactory = Callable[..., InnerOptimizer]

_FACTORIES: dict[str, RuleFactory] = {}


def register(name: str) -> Callable[[RuleFactory], RuleFactory]:
    """Registers a factory under the name by which flags and tables know the rule."""

    def add(factory: RuleFactory) -> RuleFactory:
        _FACTORIES[name] = factory
        return factory

    return add


def names() -> tuple[str, ...]:
    """The names of all registered rules, sorted."""
    return tuple(sorted(_FACTORIES))


def make(name: str, params: PyTree, *, steps: int, rate: float) -> InnerOptimizer:
    """Builds a rule, with untrained meta-parameters, by its name.

    Args:
        name: one of `names()`.
        params: inner parameters of the shapes to be fitted; only shapes and dtypes matter.
        steps: the number of steps that the rule will be meta-trained for.
        rate: a step length that suits the objective, for rules that start from one.

    Raises:
        ValueError: if no rule has that name; the message lists those that there are.
    """
    if name not in _FACTORIES:
        raise ValueError(f"unknown inner optimizer {name!r}; known are {', '.join(names())}.")
    return _FACTORIES[name](params, steps=steps, rate=rate)
