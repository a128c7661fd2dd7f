r"""Compares inner optimizers: one tracker, meta-trained once per rule and seed, on equal terms.

Every rule sees the same episodes in the same order, takes the same number of outer and inner steps,
and is judged on the same held-out videos. The default asks the question of DiMP's Table 1: is the
target filter best predicted by the initializer alone (none), by gradient descent with learned
rates, or by steepest descent?

Examples:
    python -m experiments.compare
    python -m experiments.compare --inner_optimizers=adam,steepest_descent --seeds=5
    python -m experiments.compare --dataset_dir=OTB100 --output_dir=runs/otb --resume

Writes to the output folder:
    results.json              every cell (rule and seed) and the means with 95 % intervals
    table.txt                 the table that is printed at the end
    inner_loss.png            loss on support and query against the inner step, per rule
    success.png               success plot over the held-out videos
    learned_functions.png     what of the inner loss was learned, and where it started
    cells/, checkpoints/      finished cells, which --resume does not do again
"""

import dataclasses
import math
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from absl import flags

import metaopt
import tracking_tasks
from experiments import cells, cli, common, comparison, training
from experiments.lab import HELD_OUT, TRAININGS
from tracking_tasks import checkpoints, evaluation
from tracking_tasks.data import sequences as sequences_lib
from tracking_tasks.data.photos import PhotoBank, load_bank
from tracking_tasks.data.rendered import rendered_sequences
from tracking_tasks.errors import InputError
from tracking_tasks.trackers import TRACKERS, Tracker


@dataclasses.dataclass(frozen=True)
class Preset:
    """The size of a comparison.

    Attributes:
        seeds: meta-trainings per rule.
        training: the outer loop of each.
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
    "quick": Preset(3, TRAININGS["small"], videos=8, frames=40),
    "full": Preset(5, TRAININGS["full"], videos=100, frames=100),
}

FLAGS = flags.FlagValues()
_TRACKER = common.tracker_flag(FLAGS)
_INNER_OPTIMIZERS = flags.DEFINE_list(
    "inner_optimizers",
    "none,learned_rates,steepest_descent",
    f"The rules to compare, of: {', '.join(metaopt.optimizers.names())}; or all.",
    flag_values=FLAGS,
)
_PRESET = flags.DEFINE_enum(
    "preset",
    "quick",
    list(PRESETS),
    "Size: smoke (about a minute, says nothing), quick (10 minutes on two cores), full (a GPU).",
    flag_values=FLAGS,
)
_SEEDS = flags.DEFINE_integer(
    "seeds", None, "Seeds per rule; by default the preset's.", 1, flag_values=FLAGS
)
_BACKBONE = common.BackboneFlags(FLAGS)
_PHOTOS_DIR = common.photos_dir_flag(FLAGS)
_DATASET = common.Dataset(FLAGS)
_RESUME = flags.DEFINE_bool(
    "resume", False, "Keep the finished cells in the output folder.", flag_values=FLAGS
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", "runs/compare", "The folder to write to.", flag_values=FLAGS
)


def main(_: Sequence[str]) -> None:
    """Runs the program."""
    folder = pathlib.Path(_OUTPUT_DIR.value)
    cli.require_folder(folder)
    rules = _rules(_INNER_OPTIMIZERS.value)
    preset = PRESETS[_PRESET.value]
    seeds = range(_SEEDS.value or preset.seeds)
    real = _DATASET.read() if _DATASET.given else []
    done = _finished(folder, rules, seeds) if _RESUME.value else {}

    cls = TRACKERS[_TRACKER.value]
    changes: dict[str, Any] = {"crop_size": preset.training.episode.crop_size}
    if hasattr(cls.config_type, "box_estimation"):
        # The size follows the filter alone, as minutes do not teach a predictor of overlap.
        changes["box_estimation"] = "scale_search"
    config = dataclasses.replace(cls.config_type(), **changes)
    backbone = _BACKBONE.load()
    initial = {rule: cls.create(rule, config, backbone) for rule in rules}
    episode = initial[rules[0]].episode_config
    preset = dataclasses.replace(
        preset, training=dataclasses.replace(preset.training, episode=episode)
    )
    judge = _Judge(preset, real, load_bank(_PHOTOS_DIR.value, "test"))
    bank = load_bank(_PHOTOS_DIR.value, "train")
    finished = []
    for seed in seeds:
        missing = [rule for rule in rules if (rule, seed) not in done]
        outer_loop = dataclasses.replace(preset.training, seed=seed)
        batches = training.rendered_once(bank, outer_loop) if missing else None
        for rule in rules:
            if batches is not None and rule in missing:
                done[rule, seed] = _run_cell(
                    initial[rule], rule, seed, batches, preset, judge, folder
                )
            finished.append(done[rule, seed])

    heading = {
        "tracker": cls.name,
        "preset": _PRESET.value,
        "paper_rule": cls.default_rule,
        "fairness": "equal outer steps, inner steps and episodes",
        "config": dataclasses.asdict(preset) | {"tracker": dataclasses.asdict(config)},
        "versions": {"jax": jax.__version__, "platform": jax.default_backend()},
    }
    comparison.write(folder, heading, finished, initial[rules[0]].learned_functions())
    print((folder / "table.txt").read_text())
    print(f"written to {folder}")


class _Judge:
    """The held-out videos and episodes that every cell is evaluated on."""

    def __init__(self, preset: Preset, real: list[sequences_lib.Sequence], bank: PhotoBank) -> None:
        key = jax.random.key(HELD_OUT)
        self._rendered = rendered_sequences(
            key, bank, preset.training.renderer, preset.videos, preset.frames
        )
        held_out = dataclasses.replace(preset.training, seed=HELD_OUT)
        batches = training.rendered_batches(bank, held_out)
        count = math.ceil(preset.adaptation_episodes / held_out.episodes)
        self._episodes = [batches(index) for index in range(count)]
        self._steps = preset.adaptation_steps
        self._real = real

    def __call__(self, tracker: Tracker, rule: str) -> dict[str, Any]:
        online = tracking_tasks.OnlineTracker(tracker, rule)
        rendered = evaluation.evaluate(online, self._rendered)
        curves = [_adapt(tracker, episodes, self._steps) for episodes in self._episodes]
        inner, query = (np.mean(np.concatenate(c), axis=0) for c in zip(*curves, strict=True))
        scores = evaluation.summarize(rendered) | {
            "inner_losses": inner.tolist(),
            "query_losses": query.tolist(),
            "query_loss": float(query[tracker.config.train_steps]),
            "success_curve": np.mean(
                [evaluation.success_curve(r.boxes, r.truth) for r in rendered], axis=0
            ).tolist(),
            "learned_functions": {
                name: np.asarray(y).tolist() for name, (_, y) in tracker.learned_functions().items()
            },
        }
        if self._real:
            results = evaluation.evaluate(online, self._real)
            scores["real"] = evaluation.summarize(results)
        return scores


@jax.jit(static_argnames="steps")
def _adapt(tracker: Tracker, episodes: Any, steps: int) -> Any:
    return jax.lax.map(lambda episode: tracker.adapt(episode, steps), episodes)


def _rules(names: Sequence[str]) -> list[str]:
    known = metaopt.optimizers.names()
    rules = list(known) if list(names) == ["all"] else list(dict.fromkeys(names))
    for name in rules:
        if name not in known:
            raise InputError(f"unknown inner optimizer {name!r}: known are {', '.join(known)}")
    if not rules:
        raise InputError(f"--inner_optimizers names none: known are {', '.join(known)}")
    return rules


def _run_cell(
    tracker: Tracker,
    rule: str,
    seed: int,
    batches: training.Batches,
    preset: Preset,
    judge: _Judge,
    folder: pathlib.Path,
) -> dict[str, Any]:
    """Meta-trains and evaluates one rule with one seed; the cell is on disk when this returns."""
    name = f"{rule}-{seed}"
    config = dataclasses.replace(preset.training, seed=seed)
    trained = training.train(tracker, batches, config, label=f"{rule}, seed {seed}")
    checkpoints.save(folder / "checkpoints" / f"{name}.safetensors", trained, rule, seed=seed)
    cell = {"tracker": tracker.name, "inner_optimizer": rule, "seed": seed} | judge(trained, rule)
    cells.save(folder, rule, seed, cell)
    return cell


def _finished(
    folder: pathlib.Path, rules: Sequence[str], seeds: Sequence[int]
) -> dict[tuple[str, int], dict[str, Any]]:
    found = {(rule, seed): cells.load(folder, rule, seed) for rule in rules for seed in seeds}
    return {key: cell for key, cell in found.items() if cell is not None}


if __name__ == "__main__":
    cli.run(main, FLAGS)
