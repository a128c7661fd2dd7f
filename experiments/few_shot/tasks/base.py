"""What a family of few-shot tasks is."""

import abc
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from flax import struct
from jaxtyping import Array, Float, PyTree, Scalar


class Samples(NamedTuple):
    """Some samples of one task.

    Attributes:
        inputs: what the network sees, with a leading axis of samples.
        targets: what it should say.
    """

    inputs: Float[Array, "..."]
    targets: PyTree


class Episode(NamedTuple):
    """One task.

    Attributes:
        support: what is fitted to.
        query: what the fit is judged on.
    """

    support: Samples
    query: Samples


class Task(struct.PyTreeNode):
    """A family of tasks: how episodes are drawn and judged, and the network for them.

    A pytree, whose leaves are the data: what is jitted takes it as an argument.

    Attributes:
        name: by which flags and tables know it.
        score_name: what `score` measures.
        score_scale: of the axis on which plots show it.
        inner_steps: steps of a fit, in the paper where the task comes from.
        rate: a step length of gradient descent that suits it.
        head_scale: what the outputs of a least-squares head are multiplied with at first.
        episodes: how many make an outer step.
        outer_steps: how many outer steps are worth taking.
        stride: outer steps that one call takes; many where a step takes less than its call.
        published: scores of others on its tests, by their names.
    """

    name: ClassVar[str]
    score_name: ClassVar[str]
    score_scale: ClassVar[str] = "linear"
    inner_steps: ClassVar[int]
    rate: ClassVar[float]
    head_scale: ClassVar[float]
    episodes: ClassVar[int]
    outer_steps: ClassVar[int]
    stride: ClassVar[int] = 1
    published: ClassVar[Mapping[str, float]] = MappingProxyType({})

    @classmethod
    @abc.abstractmethod
    def create(cls, *args: Any, **kwargs: Any) -> "Task":
        """From what the command line gives, each subclass with options of its own."""

    @property
    @abc.abstractmethod
    def outputs(self) -> int:
        """The numbers that a network returns for a sample."""

    @abc.abstractmethod
    def sample(self, key: Array, *, training: bool) -> Episode:
        """An episode; in training none that a test would show."""

    @property
    def test_episodes(self) -> Episode | None:
        """All test episodes, with a leading axis, where a benchmark gives them; else None."""
        return None

    @abc.abstractmethod
    def network(self, key: Array) -> Any:
        """A network with random weights: a callable pytree.

        Its `features(inputs)` are what its last, linear layer sees.
        """

    @abc.abstractmethod
    def loss(self, outputs: Float[Array, "n outputs"], targets: PyTree) -> Scalar:
        """What is minimized, convex in the outputs."""

    @abc.abstractmethod
    def score(self, outputs: Float[Array, "n outputs"], targets: PyTree) -> Scalar:
        """What is reported."""

    @abc.abstractmethod
    def encode(self, targets: PyTree) -> Float[Array, "n outputs"]:
        """The targets of a least-squares fit of the outputs."""
