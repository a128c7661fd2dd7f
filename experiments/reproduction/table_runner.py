"""Where the rows of tables are meta-trained and judged, on equal terms."""

import dataclasses
import functools
import hashlib
import itertools
import pathlib
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

import tracking_tasks
from basics.errors import InputError
from basics.leaves import named_leaves, with_leaves
from experiments.meta_training.presets import TRAININGS
from experiments.meta_training.runner import Runner, Videos
from experiments.meta_training.training import OuterLoss, TrainingConfig
from experiments.reproduction.measurement import REAL, Measurement, of_results
from models import Backbone
from tracking_tasks import checkpoints, evaluation
from tracking_tasks.data import sequences as sequences_lib
from tracking_tasks.evaluation import otb_starts
from tracking_tasks.trackers import Tracker

# Most frames of a real sequence that are tracked, by scale.
REAL_FRAMES = {"smoke": 60, "small": 60, "full": 10**6}
_SAVE_EVERY = 20  # outer steps that a stopped run takes again, at most
Weights = Literal["trained", "shipped", "untrained"]
Evaluate = Callable[
    [Tracker, str, Sequence[sequences_lib.Sequence]], list[evaluation.SequenceResult]
]
_START_STRIDE = 7  # no divisor of the number of starts: every seed has one of its own


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a tracker is made: two equal recipes with equal seeds give the same tracker.

    Attributes:
        tracker: name of the tracker.
        rule: name of its inner optimizer.
        config: of the tracker; its type's defaults if not given.
        training: the outer loop, whose seed `make` sets. `training.frozen` says what is not
            learned.
        start: of the tracker whose parameters it starts from, as far as it has them, trained with
            the same seed; otherwise it starts untrained.
        loss: in the place of the tracker's own outer loss: a frozen dataclass, whose text says all.
    """

    tracker: str
    rule: str
    config: Any
    training: TrainingConfig
    start: "Recipe | None" = None
    loss: OuterLoss | None = dataclasses.field(default=None, repr=False)

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that equal recipes share."""
        losses: list[str] = []
        recipe: Recipe | None = self
        while recipe is not None:
            losses += [] if recipe.loss is None else [repr(recipe.loss)]
            recipe = recipe.start
        return hashlib.sha256("".join([repr(self), *losses]).encode()).hexdigest()[:12]


class TableRunner(Runner):
    """Makes and judges the trackers of rows, at one scale; each is trained at most once.

    Args:
        scale: name of the size, one of `paper_table.SCALES`.
        folder: for the trained trackers, `<folder>/trained/`.
        photos_dir: a folder of photographs to render from, or None for those of scikit-image.
        real: annotated sequences to judge on; may be empty.
        backbone: of all trackers; each its own if not given.
        resume: use what an earlier run trained in the same folder.
        seen: names of those of the real sequences that shipped weights were trained on.
        judged_on: one of `measurement.JUDGES`.
    """

    def __init__(
        self,
        scale: str,
        folder: pathlib.Path,
        photos_dir: str | None = None,
        real: Sequence[sequences_lib.Sequence] = (),
        backbone: Backbone | None = None,
        resume: bool = False,
        seen: Collection[str] = (),
        judged_on: str = "rendered",
    ) -> None:
        super().__init__(photos_dir, real, backbone)
        self.scale = scale
        self._folder = folder / "trained"
        self._resume = resume
        self.seen = seen
        self.judged_on = judged_on
        self._trained: set[pathlib.Path] = set()

    @property
    def outer_loop(self) -> TrainingConfig:
        """The outer loop of the scale."""
        return TRAININGS[self.scale]

    def make(self, recipe: Recipe, seed: int) -> Tracker:
        """The meta-trained tracker; trained at most once for a recipe and seed, also in pieces."""
        config = dataclasses.replace(recipe.training, seed=seed)
        recipe = dataclasses.replace(recipe, training=config)
        name = f"{recipe.tracker}-{recipe.rule}-{recipe.digest}-{seed}"
        path = self._folder / f"{name}.safetensors"
        if path in self._trained or (self._resume and path.is_file()):
            return checkpoints.load(path, recipe.tracker, backbone=self.backbone)[0]
        start = self.untrained(recipe.tracker, recipe.rule, recipe.config)
        if recipe.start is not None:
            start = with_leaves(start, named_leaves(self.make(recipe.start, seed)))
        states = self._folder / name
        if not self._resume:
            shutil.rmtree(states, ignore_errors=True)  # of a training that was given up
        tracker = self.train(
            start,
            recipe.rule,
            dataclasses.replace(config, save_every=_SAVE_EVERY),
            path,
            label=f"{recipe.tracker}, {recipe.rule}, seed {seed}",
            folder=states,
            resume=True,
            loss=recipe.loss,
            training=dataclasses.asdict(config),
        )
        shutil.rmtree(states)
        self._trained.add(path)
        return tracker

    def recipe(self, tracker: str, rule: str, config: Any, **training: Any) -> Recipe:
        """How a tracker is made at the scale, on episodes cut as it wants them.

        Args:
            tracker: its name.
            rule: name of its inner optimizer.
            config: its constants.
            **training: fields of the outer loop that differ from those of the scale.
        """
        episode = self.untrained(tracker, rule, config).episode_config
        outer_loop = dataclasses.replace(self.outer_loop, episode=episode, **training)
        return Recipe(tracker, rule, config, outer_loop)

    def held_out(self, sizes: Mapping[str, tuple[int, int]], **looks: Any) -> Videos:
        """Videos to judge on, whose changes are spread over their own length.

        Args:
            sizes: number of videos, and frames of each, by scale.
            **looks: fields of the renderer's config that differ from those of meta-training.
        """
        count, frames = sizes[self.scale]
        renderer = self.outer_loop.renderer
        looking = dataclasses.replace(renderer, duration=float(frames), **looks)
        return Videos(looking, count, frames)

    @property
    def takes_shipped(self) -> bool:
        """Whether tables that ask for a well trained tracker take the shipped one.

        At the small scale they do: one that is trained for minutes loses its target for other
        reasons than a table asks about. A seed then only draws what the tracker sees.
        """
        return self.scale == "small"

    @property
    def longest_trained(self) -> Weights:
        """The weights of the trackers of such tables."""
        return "shipped" if self.takes_shipped else "trained"

    def shipped(self, name: str, rule: str | None = None) -> Tracker:
        """The tracker with the weights that are shipped, and its paper's rule or the given one.

        Its constants are the defaults: those that validation on real video chose are no paper's.
        """
        path = tracking_tasks.shipped_weights(name, rule)
        defaults = lambda config: type(config)()
        return checkpoints.load(path, name, rule, self.backbone, defaults)[0]

    def judge(
        self,
        tracker: Tracker,
        rule: str,
        videos: Videos,
        seed: int,
        weights: Weights = "trained",
        evaluate: Evaluate | None = None,
    ) -> Measurement:
        """`auc`, `precision20`, `mean_overlap` and `fps` on what this runner judges on.

        Held-out rendered videos of the seed, real sequences, whose scores begin with `REAL`, or
        both. Of real sequences so many frames count as `REAL_FRAMES` says for the scale.

        Args:
            tracker: to judge.
            rule: name of its inner optimizer.
            videos: rendered ones; the seed draws them.
            seed: of the row.
            weights: of the tracker. Shipped and untrained ones are the same with all seeds. One
                pass over a real sequence would only repeat itself, so that every seed starts it at
                another frame, one of those of OTB's temporal robustness. What shipped weights were
                trained on is left out.
            evaluate: in the place of one pass of the tracker over sequences.

        Raises:
            InputError: a real sequence has no such start, or none is left.
        """
        evaluate, trained, found = evaluate or self.evaluate, weights == "trained", []
        if self.judged_on != "real":
            drawn = self.videos(videos, seed)
            results = evaluate(tracker, rule, drawn)
            names = [str(index) for index in range(len(drawn))]
            found.append(of_results(results, names, trained=trained))
        if self.judged_on != "rendered":
            parts = self._real_parts(seed, weights)
            results = evaluate(tracker, rule, parts)
            found.append(of_results(results, [one.name for one in parts], REAL, trained))
        return functools.reduce(Measurement.beside, found)

    def _real_parts(self, seed: int, weights: Weights) -> list[sequences_lib.Sequence]:
        """What of the real sequences a tracker is judged on, under their own names."""
        chosen = [one for one in self.real if weights != "shipped" or one.name not in self.seen]
        if not chosen:
            raise InputError("no real sequence is left to judge on: give --dataset_dir more")
        most = REAL_FRAMES[self.scale]
        begun = chosen if weights == "trained" else [_start(one, seed) for one in chosen]
        return [
            otb_starts.part(part, range(min(most, len(part))), one.name)
            for part, one in zip(begun, chosen, strict=True)
        ]


def _start(sequence: sequences_lib.Sequence, seed: int) -> sequences_lib.Sequence:
    """A sequence from one of OTB's later frames on; the first few seeds are spread over all."""
    if seed >= otb_starts.STARTS:
        raise InputError(
            f"a real sequence has {otb_starts.STARTS} starts: give at most that many seeds"
        )
    number = seed * _START_STRIDE % otb_starts.STARTS
    return next(itertools.islice(otb_starts.temporal(sequence), number, None))
