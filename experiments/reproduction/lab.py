"""Where the rows of tables are meta-trained and judged, on equal terms."""

import dataclasses
import functools
import hashlib
import itertools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax

import tracking_tasks
from basics.errors import InputError
from basics.leaves import named_leaves, with_leaves
from experiments.meta_training import training
from models import Backbone
from tracking_tasks import checkpoints, evaluation
from tracking_tasks.data import sequences as sequences_lib
from tracking_tasks.data.photos import load_bank
from tracking_tasks.data.rendered import rendered_sequences
from tracking_tasks.data.renderer import RendererConfig
from tracking_tasks.episode import EpisodeConfig
from tracking_tasks.evaluation import otb_starts
from tracking_tasks.trackers import TRACKERS, Tracker

HELD_OUT = 2**31 - 1  # no training seed
_START_STRIDE = 7  # no divisor of the number of starts: every seed has one of its own


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a tracker is made: two equal recipes with equal seeds give the same tracker.

    Attributes:
        tracker: name of the tracker.
        rule: name of its inner optimizer.
        config: of the tracker; its type's defaults if not given.
        training: the outer loop, whose seed `Lab.train` sets. `training.frozen` says what is not
            learned.
        start: of the tracker whose parameters it starts from, as far as it has them, trained with
            the same seed; otherwise it starts untrained.
    """

    tracker: str
    rule: str
    config: Any
    training: training.TrainingConfig
    start: "Recipe | None" = None


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


def outer_loop(
    outer_steps: int, episodes: int, crop_size: int, side: int, **renderer: Any
) -> training.TrainingConfig:
    """An outer loop for comparisons.

    Args:
        outer_steps: number of outer steps.
        episodes: episodes a step.
        crop_size: side of the crops in pixels.
        side: side of the rendered frames in pixels.
        **renderer: other fields of the renderer's config.
    """
    looks = dataclasses.replace(training.TrainingConfig().renderer, side=side, **renderer)
    return training.TrainingConfig(
        outer_steps=outer_steps,
        episodes=episodes,
        learning_rate=3e-3,
        episode=EpisodeConfig(crop_size=crop_size),
        renderer=looks,
    )


# The outer loop by scale: seconds that say nothing, minutes on two cores, hours on a GPU. Without
# their second subframe and other objects, videos compile in half the time.
TRAININGS = {
    "smoke": outer_loop(2, 2, 64, 96, subframes=1, distractors=0, occluders=0),
    "small": outer_loop(40, 4, 128, 192),
    "full": outer_loop(3000, 16, 192, 288),
}


class Lab:
    """Trains and judges; what rows share is trained and rendered once.

    Args:
        scale: name of the size, one of `paper_table.SCALES`.
        folder: for the trained trackers, `<folder>/trained/`.
        photos_dir: a folder of photographs to render from, or None for those of scikit-image.
        real: annotated sequences to judge on as well; may be empty.
        backbone: of all trackers; each its own if not given.
        resume: use what an earlier lab trained in the same folder.
    """

    def __init__(
        self,
        scale: str,
        folder: pathlib.Path,
        photos_dir: str | None = None,
        real: Sequence[sequences_lib.Sequence] = (),
        backbone: Backbone | None = None,
        resume: bool = False,
    ) -> None:
        self.scale = scale
        self._folder = folder / "trained"
        self._real = list(real)
        self._backbone = backbone
        self._resume = resume
        self._trained: set[pathlib.Path] = set()
        # One setting and seed at a time: rows with the same seed come one after the other.
        self.batches = functools.lru_cache(maxsize=1)(self._batches)
        self.videos = functools.lru_cache(maxsize=1)(self._videos)
        self.bank = functools.cache(functools.partial(load_bank, photos_dir))

    def train(self, recipe: Recipe, seed: int) -> Tracker:
        """The meta-trained tracker; trained at most once for a recipe and seed."""
        recipe = dataclasses.replace(
            recipe, training=dataclasses.replace(recipe.training, seed=seed)
        )
        key = hashlib.sha256(repr(recipe).encode()).hexdigest()[:12]
        path = self._folder / f"{recipe.tracker}-{recipe.rule}-{key}-{seed}.safetensors"
        if path in self._trained or (self._resume and path.is_file()):
            return checkpoints.load(path, recipe.tracker, backbone=self._backbone)[0]
        start = self.untrained(recipe.tracker, recipe.rule, recipe.config)
        if recipe.start is not None:
            start = with_leaves(start, named_leaves(self.train(recipe.start, seed)))
        tracker = training.train(
            start,
            self.batches(dataclasses.replace(recipe.training, frozen=())),
            recipe.training,
            label=f"{recipe.tracker}, {recipe.rule}, seed {seed}",
        )
        fine_tuned = "backbone" not in recipe.training.frozen
        checkpoints.save(
            path,
            tracker,
            recipe.rule,
            fine_tuned=fine_tuned,
            training=dataclasses.asdict(recipe.training),
        )
        self._trained.add(path)
        return tracker

    def untrained(self, tracker: str, rule: str, config: Any) -> Tracker:
        """A tracker as it is before meta-training, on the lab's backbone."""
        return TRACKERS[tracker].create(rule, config, self._backbone)

    def recipe(self, tracker: str, rule: str, config: Any, **training: Any) -> Recipe:
        """How a tracker is made at the lab's scale, on episodes cut as it wants them.

        Args:
            tracker: its name.
            rule: name of its inner optimizer.
            config: its constants.
            **training: fields of the outer loop that differ from those of the scale.
        """
        episode = self.untrained(tracker, rule, config).episode_config
        outer_loop = dataclasses.replace(TRAININGS[self.scale], episode=episode, **training)
        return Recipe(tracker, rule, config, outer_loop)

    def held_out(self, sizes: Mapping[str, tuple[int, int]], **looks: Any) -> Videos:
        """Videos to judge on, whose changes are spread over their own length.

        Args:
            sizes: number of videos, and frames of each, by scale.
            **looks: fields of the renderer's config that differ from those of meta-training.
        """
        count, frames = sizes[self.scale]
        renderer = TRAININGS[self.scale].renderer
        looking = dataclasses.replace(renderer, duration=float(frames), **looks)
        return Videos(looking, count, frames)

    @property
    def takes_shipped(self) -> bool:
        """Whether tables that ask for a well trained tracker take the shipped one.

        At the small scale they do: one that is trained for minutes loses its target for other
        reasons than a table asks about. A seed then only draws what the tracker sees.
        """
        return self.scale == "small"

    def shipped(self, name: str, rule: str | None = None) -> Tracker:
        """The tracker with the weights that are shipped, and its paper's rule or the given one."""
        path = tracking_tasks.shipped_weights(name, rule)
        return checkpoints.load(path, name, rule, self._backbone)[0]

    def judge(
        self, tracker: Tracker, rule: str, videos: Videos, seed: int, *, shipped: bool = False
    ) -> dict[str, float]:
        """`auc`, `precision20`, `mean_overlap` and `fps` on held-out videos of that seed.

        With real sequences the same again as `real_auc` and so on.

        Args:
            tracker: to judge.
            rule: name of its inner optimizer.
            videos: rendered ones; the seed draws them.
            seed: of the row.
            shipped: whether the tracker is the same with all seeds. One pass over a real sequence
                would only repeat itself, so that every seed starts it at another frame, one of
                those of OTB's temporal robustness.

        Raises:
            InputError: A real sequence has no such start.
        """
        online = tracking_tasks.OnlineTracker(tracker, rule)
        scores = evaluation.summarize(evaluation.evaluate(online, self.videos(videos, seed)))
        if self._real:
            real = [_start(each, seed) for each in self._real] if shipped else self._real
            found = evaluation.summarize(evaluation.evaluate(online, real))
            scores |= {f"real_{name}": value for name, value in found.items()}
        return scores

    def _batches(self, config: training.TrainingConfig) -> training.Batches:
        return training.rendered_once(self.bank("train"), config)

    def _videos(self, videos: Videos, seed: int) -> list[sequences_lib.Sequence]:
        key = jax.random.fold_in(jax.random.key(HELD_OUT), seed)
        return rendered_sequences(
            key, self.bank("test"), videos.renderer, videos.count, videos.frames
        )


def _start(sequence: sequences_lib.Sequence, seed: int) -> sequences_lib.Sequence:
    """A sequence from one of OTB's later frames on; the first few seeds are spread over all."""
    if seed >= otb_starts.STARTS:
        raise InputError(
            f"a real sequence has {otb_starts.STARTS} starts: give at most that many seeds"
        )
    number = seed * _START_STRIDE % otb_starts.STARTS
    return next(itertools.islice(otb_starts.temporal(sequence), number, None))
