"""Meta-training of a learner on a family of tasks."""

import dataclasses
import functools
import pathlib
from typing import Any, Protocol, TypeVar

import jax
import optax
from jaxtyping import Array, Scalar

import metaopt
from basics.leaves import with_leaves
from experiments.meta_training import outer_loop


class Trainable(Protocol):
    """A pytree whose leaves are meta-trained: a `Learner`, for one."""

    def outer_loss(self, family: Any, episode: Any, /) -> tuple[Scalar, dict[str, Array]]:
        """The loss on an episode, and metrics."""


class Family(Protocol):
    """Where episodes come from: a `Task`, for one."""

    @property
    def stride(self) -> int:
        """Outer steps that one call takes."""

    def sample(self, key: Array, *, training: bool) -> Any:
        """An episode."""


Learned = TypeVar("Learned", bound=Trainable)


@dataclasses.dataclass(frozen=True)
class TrainingConfig(outer_loop.LoopConfig):
    """The constants of a meta-training, beside those of any outer loop.

    Attributes:
        episodes: in each outer step.
        learning_rate: of Adam at first (Finn et al. 2017: 0.001, constant); it falls to 0 along
            half a cosine.
        clip: largest global norm of the outer gradient; for the rare steep episode.
        frozen: parts of the learner that stay as they are, by name.
        seed: of the episodes.
    """

    episodes: int = 4
    learning_rate: float = 1e-3
    clip: float = 10.0
    frozen: tuple[str, ...] = ()
    seed: int = 0


def train(
    learner: Learned,
    task: Family,
    config: TrainingConfig,
    folder: pathlib.Path | None = None,
    *,
    resume: bool = False,
    label: str = "meta-training",
) -> Learned:
    """Meta-trains all leaves but the frozen ones.

    Args:
        learner: where to start from.
        task: whose training episodes it sees; each outer step's follow from the seed and its number
            alone, so a resumed run ends as one that was never stopped.
        config: constants.
        folder: where checkpoints and metrics go; nothing is written without one.
        resume: go on from the newest checkpoint in `folder`.
        label: of the progress bar.

    Raises:
        InputError: if the loss stays non-finite.
    """
    transformation = _transformation(config.outer_steps, config.learning_rate, config.clip)
    key = jax.random.key(config.seed)
    stride = min(task.stride, config.outer_steps)
    advance = lambda state, index: _advance(
        transformation, config.episodes, stride, state, learner, task, key
    )
    return outer_loop.meta_train(
        learner,
        transformation,
        advance,
        config,
        folder,
        frozen=config.frozen,
        resume=resume,
        label=label,
        stride=stride,
    )


@functools.cache
def _transformation(steps: int, rate: float, clip: float) -> optax.GradientTransformation:
    """The outer optimizer; one object per setting, so that a step compiles once per setting."""
    schedule = optax.cosine_decay_schedule(rate, steps)
    return optax.chain(optax.clip_by_global_norm(clip), optax.adam(schedule))


@functools.partial(
    jax.jit,
    static_argnames=("transformation", "episodes", "stride"),
    donate_argnames="state",
)
def _advance(
    transformation: optax.GradientTransformation,
    episodes: int,
    stride: int,
    state: metaopt.OuterState,
    learner: Trainable,
    task: Family,
    key: Array,
) -> tuple[metaopt.OuterState, dict[str, Array]]:
    """Takes `stride` outer steps; the mean of their metrics."""

    def step(state: metaopt.OuterState, _: None) -> tuple[metaopt.OuterState, dict[str, Array]]:
        keys = jax.random.split(jax.random.fold_in(key, state.step), episodes)
        batch = jax.vmap(lambda key: task.sample(key, training=True))(keys)
        loss = lambda learned, episode: with_leaves(learner, learned).outer_loss(task, episode)
        return metaopt.outer_step(loss, transformation, state, batch)

    state, metrics = jax.lax.scan(step, state, None, stride)
    return state, jax.tree.map(lambda metric: metric.mean(0), metrics)
