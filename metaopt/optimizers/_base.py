"""What every inner optimizer is, and the register that trackers and programs choose from."""

import abc
import functools
import importlib.metadata
from collections.abc import Callable
from typing import Any, ClassVar

import jax
from jaxtyping import Array, Float, PyTree, Scalar

from metaopt._objectives import Objective
from metaopt._pytree import Pytree
from metaopt._tree import same_structure

# Packages that bring rules of their own name the modules that register them under this group.
ENTRY_POINTS = "metaopt.optimizers"


class InnerOptimizer(Pytree):
    """A rule that moves the inner parameters; its leaves are meta-parameters.

    Two methods make a rule; both are pure, and right under jit, vmap and grad. For `fit` any pytree
    with these two will do; this class spares the registration and answers what trackers and
    programs ask of a rule, so that none of them has to know its class:

    Attributes:
        learned: meta-training makes the rule what it is, for about as many steps as it is trained
            for. One that is not learned is useful as it stands and may run until it has converged.
        reads_magnitudes: its steps depend on the magnitudes of the params, so that it can adapt to
            them, or overfit (`RandomScaling` in meta-training is for such a rule).
        reads_loss: its steps depend on the value of the loss, not on the gradient alone.
        needs_curvature: it asks for an objective with curvature, `LeastSquares` or `CompositeLoss`.
        moves_along_gradient: its step is the gradient of the objective's quadratic model times one
            number, which depends on the gradient's `coordinates` and that model alone.
    """

    learned: ClassVar[bool] = True
    reads_magnitudes: ClassVar[bool] = False
    reads_loss: ClassVar[bool] = False
    needs_curvature: ClassVar[bool] = False
    moves_along_gradient: ClassVar[bool] = False

    @abc.abstractmethod
    def init(self, params: PyTree) -> PyTree:
        """The state before the first step: a pytree of arrays.

        Raises:
            ValueError: if the rule was made for params of other shapes.
        """

    @abc.abstractmethod
    def step(
        self, objective: Objective, params: PyTree, state: PyTree, batch: PyTree
    ) -> tuple[PyTree, PyTree]:
        """One step: the new params, of the same structure, shapes and dtypes, and the new state."""

    @property
    def fits_any_shapes(self) -> bool:
        """Whether it serves params of other shapes than those that it was made for.

        A rule with meta-parameters for each coordinate or channel does not.
        """
        return True

    def with_scaled_rate(self, factor: float | Scalar) -> "InnerOptimizer":
        """The rule with its rate times a factor; as it is where it has no rate set by hand."""
        return self

    def with_granularity(self, granularity: str) -> "InnerOptimizer":
        """The rule with its learned rates shared as `LearnedRates` says; as it is without such."""
        return self

    def learned_rates(self) -> Float[Array, " rates"] | None:
        """All rates that meta-training gave it, to be shown; None for a rule without such."""
        return None


def require_same_structure(
    rule: InnerOptimizer,
    made_for: PyTree,
    params: PyTree,
    is_leaf: Callable[[Any], bool] | None = None,
) -> None:
    """Refuses params of another tree than that which the rule was made for.

    Raises:
        ValueError: naming both.
    """
    places = jax.tree.map(lambda _: 0, made_for, is_leaf=is_leaf)
    if not same_structure(places, params):
        raise ValueError(
            f"{type(rule).__name__} was made for other params: for "
            f"{jax.tree.structure(places)}, and these are {jax.tree.structure(params)}."
        )


# Builds a rule with untrained meta-parameters; its arguments are those of `make` after the name.
RuleFactory = Callable[..., InnerOptimizer]

_FACTORIES: dict[str, RuleFactory] = {}


def register(name: str) -> Callable[[RuleFactory], RuleFactory]:
    """Registers a factory under the name by which flags and tables know the rule.

    In a file of `metaopt/optimizers/` that is all. In a package of one's own the name is known once
    the module is imported; `metaopt` imports it by itself if the package says so in its metadata:

        [project.entry-points."metaopt.optimizers"]
        heavy_ball = "my_package.heavy_ball"

    Raises:
        ValueError: if another rule has that name.
    """

    def add(factory: RuleFactory) -> RuleFactory:
        if name in _FACTORIES:
            raise ValueError(
                f"an inner optimizer is registered as {name!r} already, by "
                f"{_FACTORIES[name].__module__}: choose another name."
            )
        _FACTORIES[name] = factory
        return factory

    return add


def names() -> tuple[str, ...]:
    """The names of all registered rules, sorted."""
    _import_entry_points()
    return tuple(sorted(_FACTORIES))


def make(name: str, params: PyTree, *, steps: int, rate: float) -> "InnerOptimizer":
    """Builds a rule, with untrained meta-parameters, by its name.

    Args:
        name: one of `names()`.
        params: inner parameters of the shapes to be fitted; only shapes and dtypes matter.
        steps: the number of steps that the rule will be meta-trained for.
        rate: a step length that suits the objective, for rules that start from one.

    Raises:
        ValueError: if no rule has that name; the message lists those that there are.
    """
    if name not in names():
        raise ValueError(f"unknown inner optimizer {name!r}; known are {', '.join(names())}.")
    return _FACTORIES[name](params, steps=steps, rate=rate)


@functools.cache
def _import_entry_points() -> None:
    """Imports the modules of other packages that register rules."""
    for entry_point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        entry_point.load()
