"""One trial of a matrix is meta-trained and judged on its own.

Every rule of a tracker sees the same episodes in the same order, takes the same number of outer
steps, and is judged on the same held-out videos.
"""

import dataclasses
import functools
import math
import time
from collections.abc import Callable
from typing import Any

import jax

from basics.files import write_atomic
from experiments.matrix import budget, measures
from experiments.matrix.trial import Conditions, Trial
from experiments.meta_training.runner import Runner, Videos
from experiments.pictures import clips
from models import BACKBONES
from tracking_tasks.data import sequences as sequences_lib
from tracking_tasks.episode import Episode
from tracking_tasks.trackers import Tracker


def trial_runner(conditions: Conditions, resume: bool) -> Callable[[Trial], dict[str, Any]]:
    """The function that runs a trial, see `TrialRunner.run`."""
    return functools.partial(TrialRunner(conditions).run, resume=resume)


class TrialRunner:
    """Trains and judges trials under the same conditions.

    Args:
        conditions: of all trials.
    """

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions
        name, weights = conditions.backbone or (None, None)
        backbone = BACKBONES[name].pretrained(weights) if name else None
        self._runner = Runner(conditions.photos_dir, conditions.real, backbone)
        # Counting operations compiles three trackers, the same for every seed.
        self._config = functools.cache(self._config_within_budget)

    def untrained(self, tracker: str, rule: str) -> Tracker:
        """The tracker that a trial starts from."""
        return self._runner.untrained(tracker, rule, self._config(tracker, rule))

    def run(self, trial: Trial, resume: bool = False) -> dict[str, Any]:
        """Trains and judges; the result is on disk when this returns.

        Args:
            trial: which.
            resume: go on with its meta-training where an earlier run was stopped.

        Returns:
            `tracker`, `inner_optimizer`, `seed`, the scores on held-out rendered videos (`auc`,
            `precision20`, `mean_overlap`, `fps`, `update_ms`, and by sequence), those on `real`
            targets if there are any, the losses of every iterate on held-out episodes, and what was
            learned.
        """
        start = time.monotonic()
        folder = self._conditions.folder / trial.tracker
        name = f"{trial.inner_optimizer}-{trial.seed}"
        tracker = self.untrained(trial.tracker, trial.inner_optimizer)
        trained = self._runner.train(
            tracker,
            trial.inner_optimizer,
            dataclasses.replace(
                self._conditions.preset.training, seed=trial.seed, episode=tracker.episode_config
            ),
            folder / "checkpoints" / f"{name}.safetensors",
            label=str(trial),
            folder=folder / "training" / name,
            resume=resume,
            seed=trial.seed,
        )
        result = (
            dataclasses.asdict(trial)
            | self._judge(trained, trial.inner_optimizer)
            | {"learned_functions": measures.functions(tracker, trained)}
            | {"seconds": time.monotonic() - start}
        )
        self._save_video()
        trial.save(self._conditions.folder, result)
        return result

    def _judge(self, tracker: Tracker, rule: str) -> dict[str, Any]:
        rendered = self._runner.evaluate(tracker, rule, self._videos())
        episodes = self._held_out_episodes(tracker)
        result = measures.on_videos(rendered) | measures.on_episodes(
            tracker, episodes, self._conditions.preset.adaptation_steps
        )
        if self._runner.real:
            real = self._runner.evaluate(tracker, rule, self._runner.real)
            result["real"] = measures.on_real(real)
        return result

    def _videos(self) -> list[sequences_lib.Sequence]:
        preset = self._conditions.preset
        return self._runner.videos(Videos(preset.training.renderer, preset.videos, preset.frames))

    def _held_out_episodes(self, tracker: Tracker) -> list[Episode]:
        preset = self._conditions.preset
        config = dataclasses.replace(preset.training, episode=tracker.episode_config)
        batches = math.ceil(preset.adaptation_episodes / config.episodes)
        return self._runner.held_out_episodes(config, batches)

    def _save_video(self) -> None:
        """The first held-out video, for a page that shows the boxes of each rule on it."""
        path = self._conditions.folder / "video.webp"
        if not path.exists():
            first = self._videos()[0]
            write_atomic(path, clips.encode([first.frame(i) for i in range(len(first))]))

    def _config_within_budget(self, tracker: str, rule: str) -> Any:
        config = self._conditions.configs[tracker]
        if self._conditions.budget != "inner_flops":
            return config
        create = lambda rule: self._runner.untrained(tracker, rule, config)
        episodes = self._held_out_episodes(create(rule))[0]
        first = jax.tree.map(lambda leaf: leaf[0], episodes)
        return budget.equal_flops(create, rule, first)
