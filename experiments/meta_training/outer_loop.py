"""The loop around `metaopt.outer_step`: progress, metrics and checkpoints of any meta-training."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import optax
from tqdm import tqdm

import metaopt
from basics.errors import InputError
from basics.leaves import is_part, named_leaves, with_leaves
from experiments.meta_training.training_folder import TrainingFolder

Advance = Callable[[metaopt.OuterState, int], tuple[metaopt.OuterState, dict[str, jax.Array]]]

Learned = TypeVar("Learned")  # any pytree


@dataclasses.dataclass(frozen=True)
class LoopConfig:
    """The constants of an outer loop.

    Attributes:
        outer_steps: number of outer steps.
        save_every: steps between checkpoints.
        log_every: steps between logged metrics.
        patience: number of skipped (non-finite) steps in a row that ends the run.
    """

    outer_steps: int = 1000
    save_every: int = 100
    log_every: int = 10
    patience: int = 20


def meta_train(
    learner: Learned,
    transformation: optax.GradientTransformation,
    advance: Advance,
    config: LoopConfig,
    folder: pathlib.Path | None = None,
    *,
    frozen: tuple[str, ...] = (),
    **options: Any,
) -> Learned:
    """Meta-trains all leaves of a pytree but the frozen ones.

    Args:
        learner: where to start from.
        transformation: the outer optimizer.
        advance: of `run`, on the learned leaves by name.
        config: of `run`.
        folder: of `run`.
        frozen: parts that stay as they are, by name, see `is_part`.
        **options: of `run`.

    Raises:
        InputError: if the loss stays non-finite.
    """
    state = beginning(learner, transformation, frozen)
    return with_leaves(learner, run(advance, state, config, folder, **options).params)


def beginning(
    learner: Any, transformation: optax.GradientTransformation, frozen: tuple[str, ...]
) -> metaopt.OuterState:
    """The state before the first step, of all leaves of a pytree by name but the frozen ones."""
    learned = {
        name: leaf for name, leaf in named_leaves(learner).items() if not is_part(name, frozen)
    }
    return metaopt.OuterState.create(learned, transformation)


def run(
    advance: Advance,
    state: metaopt.OuterState,
    config: LoopConfig,
    folder: pathlib.Path | None = None,
    *,
    resume: bool = False,
    label: str = "meta-training",
    stride: int = 1,
) -> metaopt.OuterState:
    """Takes outer steps up to `config.outer_steps`.

    Args:
        advance: `advance(state, index) -> (state, metrics)` takes `stride` steps from step `index`
            on. If it is a pure function, a resumed run ends as one that was never stopped.
        state: where to start from.
        config: constants; all numbers of steps are multiples of `stride`.
        folder: where checkpoints (`state/`), TensorBoard events and `metrics.jsonl` go; nothing is
            written without one.
        resume: go on from the newest checkpoint in `folder`, if there is one.
        label: of the progress bar.
        stride: outer steps that one call takes.

    Returns:
        The state after the last step.

    Raises:
        InputError: if the loss is not finite for `config.patience` steps in a row.
    """
    folder_of_run = TrainingFolder(folder) if folder else None
    if folder_of_run and resume:
        state = folder_of_run.restore(state)
    # Where a step on a mesh leaves it: the second step would be compiled anew otherwise.
    state, _ = metaopt.distribute(metaopt.episode_mesh(), state, ())
    first, total = int(state.step), config.outer_steps
    in_a_row = state.skipped_in_a_row + 0
    with tqdm(total=total, desc=label, initial=first) as bar:
        for index in range(first, total, stride):
            state, metrics = advance(state, index)
            # That of the step before: to wait for this one's would leave the device without work.
            _require_progress(in_a_row, index, config.patience)
            in_a_row = state.skipped_in_a_row + 0  # the next step gives the state's own up
            done = index + stride
            bar.update(stride)
            if done % config.log_every == 0 or done >= total:
                values = {name: float(value) for name, value in metrics.items()}
                bar.set_postfix(loss=f"{values['outer_loss']:.5f}", refresh=False)
                if folder_of_run:
                    folder_of_run.log(done, values | {"skipped": int(state.skipped)})
                _require_progress(in_a_row, done, config.patience)
            if folder_of_run and (done % config.save_every == 0 or done >= total):
                folder_of_run.save(state)
    if folder_of_run:
        folder_of_run.close()
    return state


def _require_progress(in_a_row: jax.Array, done: int, patience: int) -> None:
    if int(in_a_row) >= patience:
        raise InputError(
            f"the outer loss was not finite for {patience} steps up to step {done}: lower "
            "--learning_rate or start from another checkpoint"
        )
