"""The matrix of trackers, inner optimizers and seeds: one cell is trained and judged on its own.

Every rule of a tracker sees the same episodes in the same order, takes the same number of outer
steps, and is judged on the same held-out videos.
"""

import dataclasses
import functools
import math
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

import metaopt
import tracking_tasks
from basics.errors import InputError
from basics.files import write_atomic
from experiments.matrix import budget
from experiments.meta_training import training
from experiments.meta_training.policies import comparison_config
from experiments.pictures import clips
from experiments.reproduction.lab import HELD_OUT, TRAININGS
from experiments.runs import cells
from models import BACKBONES
from tracking_tasks import checkpoints, evaluation
from tracking_tasks.data import sequences as sequences_lib
from tracking_tasks.data.photos import load_bank
from tracking_tasks.data.rendered import rendered_sequences
from tracking_tasks.episode import EpisodeConfig
from tracking_tasks.trackers import TRACKERS, Tracker


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
class Cell:
    """A tracker with an inner optimizer, meta-trained with a seed."""

    tracker: str
    inner_optimizer: str
    seed: int

    def __str__(self) -> str:
        return f"{self.tracker}, {self.inner_optimizer}, seed {self.seed}"


@dataclasses.dataclass(frozen=True)
class Conditions:
    """What all cells have in common; small, so that it can be sent to other processes.

    Attributes:
        folder: where cells, checkpoints and metrics go.
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


def rules(names: Sequence[str]) -> list[str]:
    """The inner optimizers of a flag, each once; all of them for "all".

    Raises:
        InputError: a name is unknown, or there is none.
    """
    return _choose(names, metaopt.optimizers.names(), "inner optimizer")


def trackers(names: Sequence[str]) -> list[str]:
    """The trackers of a flag, each once; all of them for "all".

    Raises:
        InputError: a name is unknown, or there is none.
    """
    return _choose(names, sorted(TRACKERS), "tracker")


def finished(folder: pathlib.Path, wanted: Sequence[Cell]) -> dict[Cell, dict[str, Any]]:
    """What an earlier run has left of the wanted cells.

    Raises:
        InputError: a file is damaged.
    """
    found = {cell: cells.load(folder / cell.tracker, *_place(cell)) for cell in wanted}
    return {cell: result for cell, result in found.items() if result is not None}


def cell_runner(conditions: Conditions, resume: bool) -> Callable[[Cell], dict[str, Any]]:
    """The function that runs a cell, see `Workshop.run`."""
    return functools.partial(Workshop(conditions).run, resume=resume)


class Workshop:
    """Trains and judges cells; what they share is rendered once.

    Args:
        conditions: of all cells.
    """

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions
        self._bank = functools.cache(functools.partial(load_bank, conditions.photos_dir))
        # One tracker and seed at a time: cells that share them come one after the other.
        self._batches = functools.lru_cache(maxsize=1)(self._rendered_batches)
        self._held_out = functools.lru_cache(maxsize=1)(self._held_out_episodes)
        # Counting operations compiles three trackers, the same for every seed.
        self._config = functools.cache(self._config_within_budget)
        self.videos = functools.cache(self._rendered_videos)

    def untrained(self, tracker: str, rule: str) -> Tracker:
        """The tracker that a cell starts from."""
        return self._create(tracker, rule, self._config(tracker, rule))

    def _create(self, tracker: str, rule: str, config: Any) -> Tracker:
        name, weights = self._conditions.backbone or (None, None)
        backbone = BACKBONES[name].pretrained(weights) if name else None
        return TRACKERS[tracker].create(rule, config, backbone)

    def _config_within_budget(self, tracker: str, rule: str) -> Any:
        config = self._conditions.configs[tracker]
        if self._conditions.budget != "inner_flops":
            return config
        create = lambda rule: self._create(tracker, rule, config)
        episode = self._held_out(create(rule).episode_config)[0]
        first = jax.tree.map(lambda leaf: leaf[0], episode)
        return budget.equal_flops(create, rule, first)

    def run(self, cell: Cell, resume: bool = False) -> dict[str, Any]:
        """Trains and judges a cell; it is on disk when this returns.

        Args:
            cell: which.
            resume: go on with its meta-training where an earlier run was stopped.

        Returns:
            `tracker`, `inner_optimizer`, `seed`, the scores on held-out rendered videos (`auc`,
            `precision20`, `mean_overlap`, `fps`, `update_ms`, and by sequence), the losses of every
            iterate on held-out episodes, and what was learned.
        """
        conditions = self._conditions
        start = time.monotonic()
        tracker = self.untrained(cell.tracker, cell.inner_optimizer)
        config = dataclasses.replace(
            conditions.preset.training, seed=cell.seed, episode=tracker.episode_config
        )
        folder = conditions.folder / cell.tracker
        name = f"{cell.inner_optimizer}-{cell.seed}"
        trained = training.train(
            tracker, self._batches(config), config, folder / "training" / name, resume, str(cell)
        )
        path = folder / "checkpoints" / f"{name}.safetensors"
        checkpoints.save(path, trained, cell.inner_optimizer, seed=cell.seed)
        result = (
            dataclasses.asdict(cell)
            | self._judge(trained, cell.inner_optimizer)
            | {"learned_functions": _functions(tracker, trained)}
            | {"seconds": time.monotonic() - start}
        )
        video = conditions.folder / "video.webp"
        if not video.exists():
            first = self.videos()[0]
            write_atomic(video, clips.encode([first.frame(i) for i in range(len(first))]))
        cells.save(folder, *_place(cell), result)
        return result

    def _judge(self, tracker: Tracker, rule: str) -> dict[str, Any]:
        online = tracking_tasks.OnlineTracker(tracker, rule)
        rendered = evaluation.evaluate(online, self.videos())
        steps = self._conditions.preset.adaptation_steps
        episodes = self._held_out(tracker.episode_config)
        curves = [_adapt(tracker, batch, steps) for batch in episodes]
        inner, query = (np.mean(np.concatenate(c), axis=0) for c in zip(*curves, strict=True))
        scores = evaluation.summarize(rendered)
        result = scores | {
            "update_ms": 1e3 / scores["fps"],
            "train_steps": tracker.config.train_steps,
            "sequences": {r.name: r.scores() for r in rendered},
            "boxes": rendered[0].boxes.tolist(),
            "true_boxes": rendered[0].truth.tolist(),
            "inner_losses": inner.tolist(),
            "query_losses": query.tolist(),
            "query_loss": float(query[tracker.config.train_steps]),
            "success_curve": np.mean(
                [evaluation.success_curve(r.boxes, r.truth) for r in rendered], axis=0
            ).tolist(),
            "rates": _rates(tracker.optimizer),
        }
        if self._conditions.real:
            real = evaluation.evaluate(online, self._conditions.real)
            by_sequence = {r.name: r.scores() for r in real}
            result["real"] = evaluation.summarize(real) | {"sequences": by_sequence}
        return result

    def _rendered_batches(self, config: training.TrainingConfig) -> training.Batches:
        return training.rendered_once(self._bank("train"), config)

    def _held_out_episodes(self, episode: EpisodeConfig) -> list[Any]:
        preset = self._conditions.preset
        config = dataclasses.replace(preset.training, seed=HELD_OUT, episode=episode)
        batches = training.rendered_batches(self._bank("test"), config)
        count = math.ceil(preset.adaptation_episodes / config.episodes)
        return [batches(index) for index in range(count)]

    def _rendered_videos(self) -> list[sequences_lib.Sequence]:
        preset = self._conditions.preset
        return rendered_sequences(
            jax.random.key(HELD_OUT), self._bank("test"), preset.training.renderer,
            preset.videos, preset.frames,
        )  # fmt: skip


@jax.jit(static_argnames="steps")
def _adapt(tracker: Tracker, episodes: Any, steps: int) -> Any:
    return jax.lax.map(lambda episode: tracker.adapt(episode, steps), episodes)


def _functions(untrained: Tracker, trained: Tracker) -> dict[str, dict[str, list[float]]]:
    """What of the objective was learned: `x`, the `initial` values and the `learned` ones."""
    initial, learned = untrained.learned_functions(), trained.learned_functions()
    return {
        name: {
            "x": np.asarray(x).tolist(),
            "initial": np.asarray(y).tolist(),
            "learned": np.asarray(learned[name][1]).tolist(),
        }
        for name, (x, y) in initial.items()
    }


def _rates(optimizer: metaopt.InnerOptimizer) -> list[float] | None:
    """Quantiles of the learned rates from the least to the largest; None without such."""
    if not isinstance(optimizer, metaopt.LearnedRates):
        return None
    rates = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(optimizer.rates)])
    return np.quantile(rates, np.linspace(0, 1, 41)).tolist()


def _place(cell: Cell) -> tuple[str, int]:
    return cell.inner_optimizer, cell.seed


def _choose(names: Sequence[str], known: Sequence[str], kind: str) -> list[str]:
    chosen = list(known) if list(names) == ["all"] else list(dict.fromkeys(names))
    for name in chosen:
        if name not in known:
            raise InputError(f"unknown {kind} {name!r}: known are {', '.join(known)}")
    if not chosen:
        raise InputError(f"no {kind} is named: known are {', '.join(known)}")
    return chosen
