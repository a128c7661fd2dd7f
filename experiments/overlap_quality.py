r"""How well DiMP predicts the overlap of a box with its target, on rendered videos it never saw.

Boxes are drawn at random around the target, as in training, in held-out episodes, from photographs
that meta-training does not use. Their predicted intersection over union is compared with the true
one, and the search for the best box is run from boxes that tracking would start from.

Examples:
    python -m experiments.overlap_quality
    python -m experiments.overlap_quality --checkpoint=runs/dimp/dimp.safetensors \
        --episodes=400 --output_dir=runs/overlap

Prints, and writes to the output folder as results.json:
    correlation               of predicted and true overlap, over all boxes
    correlation_in_a_frame    the same in each frame, averaged: what the search depends on
    overlap_before, _after    mean true overlap before and after the search
    improved                  share of frames where the search made it better
beside overlap.png, which shows one over the other.
"""

import functools
import json
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from jaxtyping import Array, Float, Key
from matplotlib.figure import Figure
from tqdm import tqdm

from basics.errors import InputError
from basics.figures import save_figure
from basics.files import write_atomic
from experiments.command_line import cli, shared_flags, tracker_flags
from experiments.command_line.output_folder import OptionalOutputFolder
from experiments.meta_training import training
from models import Features
from tracking_tasks import boxes
from tracking_tasks.data.photos import load_bank
from tracking_tasks.episode import Episode
from tracking_tasks.trackers.dimp.refinement import proposals, refine
from tracking_tasks.trackers.dimp.tracker import DiMP

# Standard deviation of where tracking leaves a box, of its centre in square roots of the area and
# of its size in logarithms: such a box overlaps with the target by about three quarters.
_CENTER, _SIZE = 0.06, 0.12

FLAGS = flags.FlagValues()
_TRACKER = tracker_flags.LoadedTracker(FLAGS)
_PHOTOS_DIR = shared_flags.photos_dir_flag(FLAGS)
_EPISODES = flags.DEFINE_integer(
    "episodes", 200, "Held-out episodes, three frames of each are judged.", 1, flag_values=FLAGS
)
_SEED = shared_flags.seed_flag(FLAGS)
_OUTPUT = OptionalOutputFolder(FLAGS)


def main(_: Sequence[str]) -> None:
    """Runs the program."""
    folder = _OUTPUT.path
    tracker = _TRACKER.load().tracker
    if not isinstance(tracker, DiMP) or tracker.refiner is None:
        raise InputError("this tracker predicts no overlap: choose a checkpoint of dimp that does")
    config = training.TrainingConfig(seed=_SEED.value, episodes=jax.device_count())
    batches = training.rendered_batches(load_bank(_PHOTOS_DIR.value, "test"), config)
    judged = []
    for index in tqdm(range(-(-_EPISODES.value // config.episodes)), "episodes"):
        for place in range(config.episodes):
            episode = jax.tree.map(lambda leaf, place=place: leaf[place], batches(index))
            judged.append(jax.tree.map(np.asarray, judge(tracker, episode)))
    measured = Judged(*map(np.concatenate, zip(*judged, strict=True)))
    scores = summarize(measured)
    for name, value in scores.items():
        print(f"{name:24} {value:.3f}")
    if folder:
        _plot(folder / "overlap.png", measured, scores["correlation"])
        write_atomic(folder / "results.json", json.dumps(scores, indent=2) + "\n")
        print(f"written to {folder}")


class Judged(NamedTuple):
    """What was found in each frame.

    Attributes:
        seen: whether the target, and a reference of it, can be seen at all.
        predicted: overlaps of random boxes.
        true: theirs.
        before: true overlap of a start of the search.
        after: and of its result.
    """

    seen: Float[Array | np.ndarray, " frames"]
    predicted: Float[Array | np.ndarray, "frames boxes"]
    true: Float[Array | np.ndarray, "frames boxes"]
    before: Float[Array | np.ndarray, " frames"]
    after: Float[Array | np.ndarray, " frames"]


@jax.jit
def judge(tracker: DiMP, episode: Episode) -> Judged:
    """Judges the query frames of an episode, given the first support frame with the target."""
    refiner = tracker.refiner
    assert refiner is not None
    first = jnp.argmax(episode.support_weights > 0)
    images = jnp.concatenate([episode.support_images[first][None], episode.query_images])
    features = tracker.backbone(images)
    reference, *frames = (Features(*(level[i] for level in features)) for i in range(len(images)))
    modulation = refiner.predictor.modulation(reference, episode.support_boxes[first])
    reference_seen = episode.support_weights[first] > 0

    found = []
    for index, frame in enumerate(frames):
        truth = episode.query_boxes[index]
        keys = jax.random.split(jax.random.fold_in(episode.key, index), 3)
        predict = functools.partial(refiner.predictor, refiner.maps(modulation, frame))
        drawn = proposals(keys[0], truth, refiner.config)
        start = _disturbed(keys[1], truth)
        end = refine(predict, start, keys[2], refiner.config).box
        found.append(
            Judged(
                (reference_seen & (episode.query_weights[index] > 0)).astype(jnp.float32),
                (jax.vmap(predict)(drawn) + 1) / 2,
                boxes.overlap(drawn, truth),
                boxes.overlap(start, truth),
                boxes.overlap(end, truth),
            )
        )
    return Judged(*map(jnp.stack, zip(*found, strict=True)))


def summarize(judged: Judged) -> dict[str, float]:
    """The scores that the program prints; see its help."""
    chosen = Judged(*(np.asarray(leaf)[np.asarray(judged.seen) > 0] for leaf in judged))
    pairs = zip(chosen.predicted, chosen.true, strict=True)
    return {
        "correlation": float(np.corrcoef(chosen.predicted.ravel(), chosen.true.ravel())[0, 1]),
        "correlation_in_a_frame": float(np.mean([np.corrcoef(*pair)[0, 1] for pair in pairs])),
        "overlap_before": float(chosen.before.mean()),
        "overlap_after": float(chosen.after.mean()),
        "improved": float(np.mean(chosen.after > chosen.before)),
    }


def _disturbed(key: Key[Array, ""], box: Float[Array, "4"]) -> Float[Array, "4"]:
    center_key, size_key = jax.random.split(key)
    shift = _CENTER * jnp.sqrt(box[2] * box[3]) * jax.random.normal(center_key, (2,))
    factor = jnp.exp(_SIZE * jax.random.normal(size_key, (2,)))
    return boxes.from_center(boxes.center(box) + shift, box[2:] * factor)


def _plot(path: pathlib.Path, judged: Judged, correlation: float) -> None:
    seen = np.asarray(judged.seen) > 0
    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    axes.hexbin(
        np.asarray(judged.true)[seen].ravel(), np.asarray(judged.predicted)[seen].ravel(),
        gridsize=40, bins="log", extent=(0, 1, 0, 1), cmap="Blues", linewidths=0.2,
    )  # fmt: skip
    axes.plot([0, 1], [0, 1], color="0.4", linewidth=0.8)
    axes.set(xlabel="true overlap", ylabel="predicted overlap")
    axes.set_title(f"correlation {correlation:.2f}", fontsize="medium")
    save_figure(path, figure)


if __name__ == "__main__":
    cli.run(main, FLAGS)
