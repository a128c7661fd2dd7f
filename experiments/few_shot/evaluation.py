"""What a meta-trained learner does on episodes that it was not trained on."""

import functools
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float
from tqdm import tqdm

from experiments.few_shot.learners import Learner
from experiments.few_shot.tasks import Episode, Task

_AT_ONCE = 20  # episodes in one call


class Curves(NamedTuple):
    """What happens in the fits of some episodes.

    Attributes:
        losses: on the query, before each step and after the last.
        scores: the same of the score.
    """

    losses: Float[np.ndarray, "episodes steps_plus_1"]
    scores: Float[np.ndarray, "episodes steps_plus_1"]


def evaluate(
    learner: Learner, task: Task, *, episodes: int, steps: int, seed: int, label: str
) -> Curves:
    """Fits to test episodes, for more steps than were trained for, or fewer.

    Args:
        learner: from `training.train`.
        task: whose test episodes are drawn.
        episodes: how many, rounded up to whole calls, where the task does not give them.
        steps: of each fit.
        seed: of the episodes: the same ones for every learner.
        label: of the progress bar.
    """
    if (given := task.test_episodes) is not None:
        return Curves(*jax.device_get(_fits(learner, task, given, steps)))
    calls = -(-episodes // _AT_ONCE)
    keys = jax.random.split(jax.random.key(seed), (calls, _AT_ONCE))
    parts = [
        jax.device_get(_curves(learner, task, each, steps))
        for each in tqdm(keys, label, unit_scale=_AT_ONCE, unit=" episodes")
    ]
    return Curves(*(np.concatenate(part) for part in zip(*parts, strict=True)))


@functools.partial(jax.jit, static_argnames="steps")
def _curves(
    learner: Learner, task: Task, keys: Array, steps: int
) -> tuple[Float[Array, "episodes steps_plus_1"], Float[Array, "episodes steps_plus_1"]]:
    """Losses and scores; one episode after the other, to spare memory."""
    one = lambda key: _fit(learner, task, task.sample(key, training=False), steps)
    return jax.lax.map(one, keys)


@functools.partial(jax.jit, static_argnames="steps")
def _fits(
    learner: Learner, task: Task, episodes: Episode, steps: int
) -> tuple[Float[Array, "episodes steps_plus_1"], Float[Array, "episodes steps_plus_1"]]:
    """The same of given episodes."""
    return jax.lax.map(lambda episode: _fit(learner, task, episode, steps), episodes)


def _fit(
    learner: Learner, task: Task, episode: Episode, steps: int
) -> tuple[Float[Array, " steps_plus_1"], Float[Array, " steps_plus_1"]]:
    support, query = episode

    def observe(params: object) -> tuple[Array, Array]:
        outputs = learner.predict(params, query.inputs)
        return task.loss(outputs, query.targets), task.score(outputs, query.targets)

    return learner.fit(task, support, steps, observe).observed
