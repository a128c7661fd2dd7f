"""Meta-training of a tracker on rendered episodes: the loop around `metaopt.outer_step`."""

import dataclasses
import functools
import json
import math
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax
import orbax.checkpoint as ocp
from tensorboardX import SummaryWriter
from tqdm import tqdm

import metaopt
from tracking_tasks.data.episodes import EpisodeConfig, sample_episodes
from tracking_tasks.data.photos import PhotoBank
from tracking_tasks.data.renderer import RendererConfig
from tracking_tasks.errors import InputError
from tracking_tasks.trackers import Episode, Tracker


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """The outer loop's constants.

    Attributes:
        outer_steps: number of outer steps.
        episodes: episodes a step.
        learning_rate: peak of Adam's rate; linear warm-up over a twentieth of the steps, then
            half a cosine down to a hundredth.
        clip: largest global norm of the outer gradient.
        seed: of the episodes.
        save_every: steps between checkpoints.
        log_every: steps between logged metrics.
        patience: number of skipped (non-finite) steps in a row that ends the run.
        episode: how episodes are cut.
        renderer: how videos look.
    """

    outer_steps: int = 1000
    episodes: int = 8
    learning_rate: float = 1e-3
    clip: float = 1.0
    seed: int = 0
    save_every: int = 100
    log_every: int = 10
    patience: int = 20
    episode: EpisodeConfig = EpisodeConfig()
    renderer: RendererConfig = RendererConfig(side=288, target_size=(0.12, 0.22))


Batches = Callable[[int], Episode]


def rendered_batches(bank: PhotoBank, config: TrainingConfig) -> Batches:
    """The batch of episodes of each outer step: a pure function of the seed and the step."""
    key = jax.random.key(config.seed)
    return lambda index: sample_episodes(
        jax.random.fold_in(key, index), bank, config.episodes, config.episode, config.renderer
    )


def train(
    tracker: Tracker,
    batches: Batches,
    config: TrainingConfig,
    folder: pathlib.Path | None = None,
    resume: bool = False,
    label: str = "meta-training",
) -> Tracker:
    """Meta-trains all leaves of a tracker but its backbone's.

    A resumed run sees the batches that it would have seen, and ends with the same parameters.

    Args:
        tracker: where to start from.
        batches: the batch of each step.
        config: constants.
        folder: where checkpoints (`state/`), TensorBoard events and `metrics.jsonl` go; nothing is
            written without one.
        resume: go on from the newest checkpoint in `folder`, if there is one.
        label: of the progress bar.

    Raises:
        InputError: if the loss is not finite for `config.patience` steps in a row.
    """
    transformation = _transformation(config.outer_steps, config.learning_rate, config.clip)
    backbone = tracker.backbone
    state = metaopt.OuterState.create(tracker.replace(backbone=None), transformation)
    log = _Log(folder)
    checkpoints = _Checkpoints(folder) if folder else None
    if checkpoints and resume:
        state = checkpoints.restore(state)
    first = int(state.step)
    bar = tqdm(range(first, config.outer_steps), label, initial=first, total=config.outer_steps)
    for index in bar:
        state, metrics = _step(transformation, state, backbone, batches(index))
        done = index + 1
        if done % config.log_every == 0 or done == config.outer_steps:
            values = {name: float(value) for name, value in metrics.items()}
            values["skipped"] = int(state.skipped)
            log.write(done, values)
            bar.set_postfix(loss=f"{values['outer_loss']:.5f}", refresh=False)
            if int(state.skipped_in_a_row) >= config.patience:
                raise InputError(
                    f"the outer loss was not finite for {config.patience} steps up to step {done}: "
                    "lower --learning_rate or start from another checkpoint."
                )
        if checkpoints and (done % config.save_every == 0 or done == config.outer_steps):
            checkpoints.save(done, state)
    log.close()
    return state.params.replace(backbone=backbone)


@functools.cache
def _transformation(steps: int, rate: float, clip: float) -> optax.GradientTransformation:
    """The outer optimizer; one object per setting, so that `_step` compiles once per setting."""
    warm_up = max(steps // 20, 1)
    decay = max(steps, warm_up + 1)
    schedule = optax.warmup_cosine_decay_schedule(0.0, rate, warm_up, decay, rate / 100)
    return optax.chain(optax.clip_by_global_norm(clip), optax.adam(schedule))


@functools.partial(jax.jit, static_argnames="transformation", donate_argnames="state")
def _step(
    transformation: optax.GradientTransformation,
    state: metaopt.OuterState,
    backbone: Any,
    episodes: Episode,
) -> tuple[metaopt.OuterState, dict[str, jax.Array]]:
    loss = lambda tracker, episode: tracker.replace(backbone=backbone).outer_loss(episode)
    return metaopt.outer_step(loss, transformation, state, episodes)


class _Checkpoints:
    """The newest outer states, written atomically by Orbax."""

    def __init__(self, folder: pathlib.Path) -> None:
        options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager((folder / "state").absolute(), options=options)

    def save(self, step: int, state: metaopt.OuterState) -> None:
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(state)]
        self._manager.save(step, args=ocp.args.StandardSave(leaves), force=True)

    def restore(self, state: metaopt.OuterState) -> metaopt.OuterState:
        """The newest state, or the given one if there is none yet."""
        step = self._manager.latest_step()
        if step is None:
            return state
        leaves, structure = jax.tree.flatten(state)
        target = [np.asarray(leaf) for leaf in leaves]
        try:
            saved = self._manager.restore(step, args=ocp.args.StandardRestore(target))
        except (ValueError, OSError) as error:
            raise InputError(
                f"{self._manager.directory}: its checkpoint is damaged or of another run; "
                "train into an empty folder."
            ) from error
        return jax.tree.unflatten(structure, [jax.numpy.asarray(leaf) for leaf in saved])


class _Log:
    """Metrics as TensorBoard events and as JSON lines."""

    def __init__(self, folder: pathlib.Path | None) -> None:
        self._writer = SummaryWriter(str(folder / "events")) if folder else None
        self._path = folder / "metrics.jsonl" if folder else None

    def write(self, step: int, values: dict[str, float]) -> None:
        if self._writer is None or self._path is None:
            return
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        finite = {k: v if math.isfinite(v) else None for k, v in values.items()}
        with open(self._path, "a") as file:
            file.write(json.dumps({"step": step, **finite}) + "\n")

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
