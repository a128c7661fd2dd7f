"""What a matrix of trials is: trackers, inner optimizers and seeds, under conditions of all."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.meta_training import training
from experiments.meta_training.policies import comparison_config
from experiments.meta_training.presets import TRAININGS
from experiments.runs import trials
from tracking_tasks.data import sequences as sequences_lib


@dataclasses.dataclass(frozen=True)
class Preset:
    """The size of a comparison.

    Attributes:
        seeds: meta-trainings per rule.
        training: the outer loop of each; its episodes are cut as the tracker wants them.
        videos: held-out rendered videos.
        frames: frames of each.
        adaptation_steps: inner steps of the curves, more than were trained for.
        adaptation_episodes: held-out episodes that the curves are means over, at least.
    """

    seeds: int
    training: training.TrainingConfig
    videos: int
    frames: int
    adaptation_steps: int = 10
    adaptation_episodes: int = 16


PRESETS = {
    "smoke": Preset(1, TRAININGS["smoke"], videos=1, frames=6, adaptation_episodes=2),
    "quick": Preset(3, TRAININGS["small"], videos=24, frames=40),
    "full": Preset(5, TRAININGS["full"], videos=100, frames=100),
}


@dataclasses.dataclass(frozen=True)
class Trial:
    """A tracker with an inner optimizer, meta-trained with a seed."""

    tracker: str
    inner_optimizer: str
    seed: int

    def __str__(self) -> str:
        return f"{self.tracker}, {self.inner_optimizer}, seed {self.seed}"

    def save(self, folder: pathlib.Path, result: dict[str, Any]) -> None:
        """Writes what came out; after a kill it is there whole or not at all."""
        trials.save(folder / self.tracker, self.inner_optimizer, self.seed, result)


@dataclasses.dataclass(frozen=True)
class Conditions:
    """What all trials have in common; small, so that it can be sent to other processes.

    Attributes:
        folder: where results, checkpoints and metrics go.
        preset: the size.
        configs: the constants of each tracker.
        budget: what is equal between the rules of a tracker, one of `budget.BUDGETS`.
        photos_dir: photographs to render from; None for those of scikit-image.
        real: annotated sequences to judge on as well.
        backbone: name and file of weights; None for each tracker's own.
    """

    folder: pathlib.Path
    preset: Preset
    configs: Mapping[str, Any]
    budget: str = "inner_steps"
    photos_dir: str | None = None
    real: tuple[sequences_lib.Sequence, ...] = ()
    backbone: tuple[str, str | None] | None = None


def config_for(tracker: str, preset: Preset) -> Any:
    """A tracker's constants at the size of a preset."""
    return comparison_config(tracker, preset.training.episode.crop_size)


def finished(folder: pathlib.Path, wanted: Sequence[Trial]) -> dict[Trial, dict[str, Any]]:
    """What an earlier run has left of the wanted trials.

    Raises:
        InputError: a file is damaged.
    """
    found = {
        trial: trials.load(folder / trial.tracker, trial.inner_optimizer, trial.seed)
        for trial in wanted
    }
    return {trial: result for trial, result in found.items() if result is not None}
