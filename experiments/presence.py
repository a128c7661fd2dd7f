r"""How well a tracker's score tells whether its target is there, and where to draw the line.

Runs a tracker through videos in which the target is away for a while: real ones, into which black
frames, cuts to other scenes and things in front of the target are put, and rendered ones in which
it is hidden or leaves. Prints the receiver operating curve of the score (the share of frames with
the target that a threshold takes for such, by the share of frames without that it does), the area
below it, and the threshold at which the mean of both kinds of mistake is least. That is the
constant `present_score` of the tracker, chosen on the split `train`; or `present_share`, where the
score counts in square roots of the usual one.

Examples:
    python -m experiments.presence --videos_dir=VIDEOS --split=train --tracker=roam
    python -m experiments.presence --videos_dir=VIDEOS --split=val --rendered=20
    python -m experiments.presence --elsewhere=20 --redetect

--videos_dir holds videos in the layout of OTB and split.json, see experiments.validate. Frames in
which at least half of the target is seen count where the tracker has it (an overlap of at least
0.2); "lost" adds those where it has not, as frames without the target.

--elsewhere renders videos inside a larger scene, in which the target goes away and comes back in
another place, and prints in how many of them it is found again (an overlap above 0.5 in the end).
"""

import pathlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from sklearn import metrics

from basics.errors import InputError
from experiments.command_line import cli, dataset_flags, tracker_flags
from tracking_tasks import evaluation
from tracking_tasks.data.absences import LEAD, RETURN, coming_back_elsewhere, with_absences
from tracking_tasks.data.formats import read_dataset
from tracking_tasks.data.photos import load_bank
from tracking_tasks.data.rendered import rendered_sequences
from tracking_tasks.data.renderer import RendererConfig
from tracking_tasks.data.sequences import Sequence as Video
from tracking_tasks.trackers.base import TrackerConfig
from tracking_tasks.trackers.usual_score import relative_scores

_OVERLAP = 0.2  # from which on a tracker has its target
_VISIBLE = 0.5  # share of the target from which on it counts as seen
_SHARES = (0.01, 0.05, 0.1, 0.2)  # of frames without the target, at which the curve is printed
_FRAMES = 60  # of a rendered video

FLAGS = flags.FlagValues()
_TRACKER = tracker_flags.LoadedTracker(FLAGS)
_VIDEOS_DIR = flags.DEFINE_string(
    "videos_dir", None, "The folder with videos and split.json.", flag_values=FLAGS
)
_SPLIT = flags.DEFINE_string("split", "train", "Whose targets are run.", flag_values=FLAGS)
_TARGETS = flags.DEFINE_integer("targets", 24, "How many of them.", 1, flag_values=FLAGS)
_RENDERED = flags.DEFINE_integer(
    "rendered", 0, "How many rendered videos are run, too.", 0, flag_values=FLAGS
)
_ELSEWHERE = flags.DEFINE_integer(
    "elsewhere",
    0,
    "How many videos are run in which the target comes back in another place.",
    0,
    flag_values=FLAGS,
)
_SEED = flags.DEFINE_integer("seed", 0, "Of the draws.", 0, flag_values=FLAGS)


def main(_: Sequence[str]) -> None:
    """Runs the program."""
    videos = {"real": _real()} if _VIDEOS_DIR.value else {}
    if _RENDERED.value:
        videos["rendered"] = _hidden_in_rendered(_RENDERED.value, _SEED.value)
    if not videos and not _ELSEWHERE.value:
        raise InputError("nothing to run: give --videos_dir, --rendered or --elsewhere")
    tracker = _TRACKER.load()
    for name, sequences in videos.items():
        results = evaluation.evaluate(tracker, sequences)
        config = tracker.tracker.config
        scores = np.concatenate([measured(result.confidences, config) for result in results])
        threshold = config.present_share or config.present_score
        print(f"{name}: {len(sequences)} videos")
        print(report(results, sequences, scores, threshold))
    if _ELSEWHERE.value:
        sequences = _elsewhere(_ELSEWHERE.value, _SEED.value)
        results = evaluation.evaluate(tracker, sequences)
        print(f"found again elsewhere: {found_again(results)} of {len(results)}")


def measured(confidences: np.ndarray, config: TrackerConfig) -> np.ndarray:
    """What tells whether the target is there, of all frames of a video but the first."""
    scores = confidences[1:]
    return np.asarray(relative_scores(jnp.asarray(scores))) if config.present_share else scores


def report(
    results: Sequence[evaluation.SequenceResult],
    sequences: Sequence[Video],
    scores: np.ndarray,
    threshold: float,
) -> str:
    """The area below the curve, the curve, and thresholds, as text.

    Args:
        results: of a tracker.
        sequences: what it tracked.
        scores: of all their frames but the first ones, as `measured`.
        threshold: the one in use.
    """
    pairs = list(zip(results, sequences, strict=True))
    away = np.concatenate([_away(sequence)[1:] for _, sequence in pairs])
    overlap = np.concatenate([evaluation.overlap(r.boxes, r.truth)[1:] for r, _ in pairs])
    seen = np.concatenate([_seen(sequence)[1:] for _, sequence in pairs]) & ~away
    has, lost = seen & (overlap >= _OVERLAP), seen & (overlap < _OVERLAP)
    lines = [
        f"  {has.sum()} frames with the target, {away.sum()} without, {lost.sum()} lost",
        f"  area {area(scores, has, away):.3f}; with the lost {area(scores, has, away | lost):.3f}",
    ]
    for kind in pairs[0][1].frame_attributes if not sequences[0].visible is not None else ():
        of_kind = np.concatenate([s.frame_attributes[kind][1:] for _, s in pairs])
        lines.append(f"  area, {kind}: {area(scores, has, of_kind):.3f}")
    false, true, thresholds = curve(scores, has, away)
    for share in _SHARES:
        index = np.flatnonzero(false <= share)[-1]
        lines.append(f"  at {share:.0%} false, {true[index]:.1%} true: {thresholds[index]:.3f}")
    lines.append(f"  best threshold {best_threshold(scores, has, away):.3f}")
    missed, taken = np.mean(~(scores[has] >= threshold)), np.mean(scores[away] >= threshold)
    lines.append(f"  in use {threshold:g}: {missed:.1%} missed, {taken:.1%} taken for the target")
    return "\n".join(lines)


def found_again(results: Sequence[evaluation.SequenceResult]) -> int:
    """In how many of them the target is held in the end."""
    return sum(
        float(evaluation.overlap(result.boxes[-1:], result.truth[-1:])[0]) > 0.5
        for result in results
    )


def curve(
    scores: np.ndarray, has: np.ndarray, without: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares of false and of true positives, and the thresholds (score >=) that give them."""
    chosen = has | without
    return metrics.roc_curve(has[chosen], _finite(scores[chosen]), drop_intermediate=False)


def area(scores: np.ndarray, has: np.ndarray, without: np.ndarray) -> float:
    """The area below the curve: 1 if the scores of both kinds of frame do not mix."""
    chosen = has | without
    return float(metrics.roc_auc_score(has[chosen], _finite(scores[chosen])))


def best_threshold(scores: np.ndarray, has: np.ndarray, without: np.ndarray) -> float:
    """The threshold with the least mean of both shares of mistakes (Youden's).

    It lies in the middle between the scores on either side.
    """
    false, true, thresholds = curve(scores, has, without)
    index = int(np.argmax(true - false))
    below = scores[(has | without) & (scores < thresholds[index])]
    return float(np.mean([thresholds[index], below.max()])) if len(below) else thresholds[index]


def _finite(scores: np.ndarray) -> np.ndarray:
    return np.nan_to_num(scores, nan=-1e9)


def _seen(sequence: Video) -> np.ndarray:
    """Where at least half of the target is seen, as far as that is known."""
    if sequence.visible is None:
        return sequence.annotated
    return sequence.annotated & (sequence.visible >= _VISIBLE)


def _away(sequence: Video) -> np.ndarray:
    assert sequence.absent is not None
    return sequence.absent


def _real() -> list[Video]:
    folder = pathlib.Path(str(_VIDEOS_DIR.value))
    names = dataset_flags.targets_of(folder, _SPLIT.value)
    random = np.random.default_rng(_SEED.value)
    chosen = sorted(random.permutation(names)[: _TARGETS.value])
    read = read_dataset(folder, "otb", names=chosen)
    # Neighbours in the list may be targets of one video.
    others = [read[(index + len(read) // 2) % len(read)] for index in range(len(read))]
    return [with_absences(one, other) for one, other in zip(read, others, strict=True)]


def _hidden_in_rendered(count: int, seed: int) -> list[Video]:
    """Videos in which the target is hidden or leaves for some frames."""
    config = RendererConfig(duration=float(_FRAMES), occluder=1.0, leave=0.5)
    videos = rendered_sequences(
        jax.random.key(seed), load_bank(None, "test"), config, 3 * count, _FRAMES
    )
    return [video for video in videos if video.absent is not None and video.absent.any()][:count]


def _elsewhere(count: int, seed: int) -> list[Video]:
    """Targets that are seen all the time, each of which comes back in another place."""
    frames = LEAD + RETURN
    config = RendererConfig(duration=float(frames), occluder=0.0, leave=0.0)
    videos = rendered_sequences(
        jax.random.key(seed), load_bank(None, "test"), config, 2 * count, frames
    )
    seen = [video for video in videos if video.annotated.all()][:count]
    others = [seen[(index + len(seen) // 2) % len(seen)] for index in range(len(seen))]
    return [
        coming_back_elsewhere(one, other, seed + index)
        for index, (one, other) in enumerate(zip(seen, others, strict=True))
    ]


if __name__ == "__main__":
    cli.run(main, FLAGS)
