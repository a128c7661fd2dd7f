"""Meta-trains and judges trackers on equal terms: what trials share is rendered and seen once."""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import jax

import tracking_tasks
from experiments.meta_training import training
from models import Backbone
from tracking_tasks import checkpoints, evaluation
from tracking_tasks.data import sequences as sequences_lib
from tracking_tasks.data.photos import load_bank
from tracking_tasks.data.rendered import rendered_sequences
from tracking_tasks.data.renderer import RendererConfig
from tracking_tasks.episode import Episode
from tracking_tasks.trackers import TRACKERS, Tracker

HELD_OUT = 2**31 - 1  # no training seed


@dataclasses.dataclass(frozen=True)
class Videos:
    """The rendered videos that a tracker is judged on.

    Attributes:
        renderer: how they look.
        count: number of videos.
        frames: frames of each.
    """

    renderer: RendererConfig
    count: int
    frames: int


class Runner:
    """Holds what trials have in common, and makes, trains, saves and judges their trackers.

    Args:
        photos_dir: a folder of photographs to render from, or None for those of scikit-image.
        real: annotated sequences to judge on as well; may be empty.
        backbone: of all trackers; each its own if not given.
    """

    def __init__(
        self,
        photos_dir: str | None = None,
        real: Sequence[sequences_lib.Sequence] = (),
        backbone: Backbone | None = None,
    ) -> None:
        self.real = list(real)
        self.backbone = backbone
        self.bank = functools.cache(functools.partial(load_bank, photos_dir))
        # One setting and seed at a time: trials that share them come one after the other.
        self.batches = functools.lru_cache(maxsize=1)(self._batches)
        self.videos = functools.lru_cache(maxsize=1)(self._videos)
        self.held_out_episodes = functools.lru_cache(maxsize=1)(self._held_out_episodes)

    def untrained(self, tracker: str, rule: str, config: Any) -> Tracker:
        """A tracker as it is before meta-training, on the backbone of all."""
        return TRACKERS[tracker].create(rule, config, self.backbone)

    def train(
        self,
        tracker: Tracker,
        rule: str,
        config: training.TrainingConfig,
        path: pathlib.Path,
        *,
        label: str,
        folder: pathlib.Path | None = None,
        resume: bool = False,
        loss: training.OuterLoss | None = None,
        **provenance: Any,
    ) -> Tracker:
        """Meta-trains a tracker and saves it.

        Args:
            tracker: where to start from.
            rule: name of its inner optimizer.
            config: of the outer loop.
            path: of the checkpoint.
            label: of the progress bar.
            folder: for states and metrics of the training; none are kept without one.
            resume: go on from the newest state in the folder.
            loss: in the place of the tracker's own outer loss.
            **provenance: what the checkpoint says of its making.
        """
        batches = self.batches(dataclasses.replace(config, frozen=()))
        trained = training.train(tracker, batches, config, folder, resume, label, loss)
        fine_tuned = "backbone" not in config.frozen
        checkpoints.save(path, trained, rule, fine_tuned=fine_tuned, **provenance)
        return trained

    def evaluate(
        self, tracker: Tracker, rule: str, sequences: Sequence[sequences_lib.Sequence]
    ) -> list[evaluation.SequenceResult]:
        """What a tracker does in one pass over sequences."""
        return evaluation.evaluate(tracking_tasks.OnlineTracker(tracker, rule), sequences)

    def _batches(self, config: training.TrainingConfig) -> training.Batches:
        """The batches of a training, kept for the trials that share them."""
        return training.rendered_once(self.bank("train"), config)

    def _held_out_episodes(self, config: training.TrainingConfig, batches: int) -> list[Episode]:
        """Batches of episodes as in training, from photographs and a seed that it does not use."""
        render = training.rendered_batches(
            self.bank("test"), dataclasses.replace(config, seed=HELD_OUT, frozen=())
        )
        return [render(index) for index in range(batches)]

    def _videos(self, videos: Videos, seed: int | None = None) -> list[sequences_lib.Sequence]:
        """Held-out videos; other ones with each seed, and those of all seeds without one."""
        key = jax.random.key(HELD_OUT)
        key = key if seed is None else jax.random.fold_in(key, seed)
        bank = self.bank("test")
        return rendered_sequences(key, bank, videos.renderer, videos.count, videos.frames)
