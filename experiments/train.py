r"""Meta-trains a tracker on rendered or recorded videos and saves a checkpoint.

Needs no data: videos are rendered from photographs, those of scikit-image or of a folder of yours
(with COCO-style outlines of objects if it has them). Annotated data sets, packed once by
experiments.pack, join them or take their place.

Examples:
    python -m experiments.train --output_dir=runs/dimp --outer_steps=300
    python -m experiments.train --output_dir=runs/dimp --outer_steps=300 --resume
    python -m experiments.train --output_dir=runs/both \
        --datasets=packed/got10k,packed/coco:0.5 --rendered_weight=0.5
    python -m experiments.train --output_dir=runs/bad --episode.degradation.share=0.6
    python -m experiments.track --checkpoint=runs/dimp/dimp.safetensors \
        --video=video.mp4 --box=10,20,30,40 --output=tracked

Writes to the output folder:
    <tracker>.safetensors     the meta-parameters, for --checkpoint of the other programs
    pool/                     features of the episodes that --pool keeps
    state/                    the newest outer states, from which --resume goes on
    metrics.jsonl, events/    the losses, as JSON lines and for TensorBoard
"""

import dataclasses
import shlex
import sys
import time
from collections.abc import Sequence

from absl import flags

from basics.errors import InputError
from basics.leaves import is_part, named_leaves
from experiments.command_line import cli, shared_flags, tracker_flags
from experiments.command_line.config_flags import ConfigFlags
from experiments.command_line.output_folder import OutputFolder
from experiments.meta_training import training, training_data
from experiments.meta_training.feature_pool import pooled_batches
from tracking_tasks import checkpoints
from tracking_tasks.episode import EpisodeConfig
from tracking_tasks.trackers import TRACKERS, Tracker

FLAGS = flags.FlagValues()
_DEFAULTS = training.TrainingConfig()
_TRACKER = tracker_flags.tracker_flag(FLAGS)
_INNER_OPTIMIZER = tracker_flags.inner_optimizer_flag(FLAGS)
_DATA = training_data.TrainingData(FLAGS)
_BACKBONE = tracker_flags.BackboneFlags(FLAGS)
_CONSTANTS = tracker_flags.Constants(FLAGS)
_EPISODE = ConfigFlags(FLAGS, "episode", EpisodeConfig())
_FINE_TUNE = flags.DEFINE_bool(
    "fine_tune",
    False,
    f"Meta-train the backbone too, at {_DEFAULTS.backbone_rate:g} of the rate; many times slower.",
    flag_values=FLAGS,
)
_FROZEN = flags.DEFINE_list(
    "frozen",
    [],
    "Parts of the tracker that stay as they are, such as head or loss.label.",
    flag_values=FLAGS,
)
_START_FROM = flags.DEFINE_string(
    "start_from",
    None,
    "A checkpoint to go on from; of another shape or missing there, a part starts untrained.",
    flag_values=FLAGS,
)
_POOL = flags.DEFINE_integer(
    "pool",
    0,
    "Draw all batches from so many first ones, whose features are kept in the output folder; 0 "
    "keeps none. Steps are many times faster, but episodes are met again.",
    0,
    flag_values=FLAGS,
)
_OUTER_STEPS = flags.DEFINE_integer(
    "outer_steps", _DEFAULTS.outer_steps, "Number of outer steps.", 1, flag_values=FLAGS
)
_EPISODES = flags.DEFINE_integer(
    "episodes", _DEFAULTS.episodes, "Episodes in each outer step.", 1, flag_values=FLAGS
)
_ACCUMULATE = flags.DEFINE_integer(
    "accumulate", 1, "Outer steps whose mean gradient makes one update.", 1, flag_values=FLAGS
)
_LEARNING_RATE = flags.DEFINE_float(
    "learning_rate", _DEFAULTS.learning_rate, "Peak of the outer rate.", 0.0, flag_values=FLAGS
)
_SEED = shared_flags.seed_flag(FLAGS)
_SAVE_EVERY = flags.DEFINE_integer(
    "save_every", _DEFAULTS.save_every, "Steps between saved states.", 1, flag_values=FLAGS
)
_OUTPUT = OutputFolder(FLAGS, resumable=True)


def main(_: Sequence[str]) -> None:
    """Runs the program."""
    folder = _OUTPUT.path
    if _POOL.value and _FINE_TUNE.value:
        raise InputError("--pool keeps the features of a backbone that --fine_tune would change")
    initial, rule = _initial()
    config = _config(initial)
    batches, origin = _DATA.batches(config)
    _OUTPUT.lock(
        {
            "tracker": initial.name,
            "inner_optimizer": rule,
            "constants": dataclasses.asdict(initial.config),
            "training": dataclasses.asdict(dataclasses.replace(config, save_every=1)),
            "start_from": _START_FROM.value,
            "pool": _POOL.value,
            **origin,
        },
        taken=(folder / "state").exists(),
    )
    start = time.monotonic()
    if _POOL.value:
        pool = folder / "pool"
        batches = pooled_batches(batches, initial.backbone, config, _POOL.value, pool)
    tracker = training.train(initial, batches, config, folder, _OUTPUT.resumed)
    path = folder / f"{initial.name}.safetensors"
    checkpoints.save(
        path,
        tracker,
        rule,
        fine_tuned=_FINE_TUNE.value,
        command=shlex.join(["python", "-m", "experiments.train", *sys.argv[1:]]),
        training=dataclasses.asdict(config),
        **origin,
        minutes=round((time.monotonic() - start) / 60, 1),
    )
    print(f"written to {path}")


def _initial() -> tuple[Tracker, str]:
    """The tracker to train, untrained or from a checkpoint, and the name of its rule.

    Raises:
        InputError: a constant is of another tracker, the checkpoint cannot be used, or a part that
            is to stay as it is does not exist.
    """
    cls = TRACKERS[_TRACKER.value]
    rule = _INNER_OPTIMIZER.value or cls.default_rule
    _CONSTANTS.require_of([cls.name])
    constants = _CONSTANTS.apply(cls.name, cls.config_type())
    tracker = cls.create(rule, constants, _BACKBONE.load())
    if _START_FROM.value:
        tracker = checkpoints.start_from(_START_FROM.value, tracker)
    for part in _FROZEN.value:
        if not any(is_part(name, (part,)) for name in named_leaves(tracker)):
            raise InputError(f"--frozen={part}: {cls.name} has no such part")
    return tracker, rule


def _config(tracker: Tracker) -> training.TrainingConfig:
    """The outer loop that the flags ask for, on episodes as the tracker wants them."""
    return dataclasses.replace(
        _DEFAULTS,
        episode=_EPISODE.apply(tracker.episode_config),
        outer_steps=_OUTER_STEPS.value,
        episodes=_EPISODES.value,
        accumulate=_ACCUMULATE.value,
        learning_rate=_LEARNING_RATE.value,
        seed=_SEED.value,
        save_every=_SAVE_EVERY.value,
        frozen=(*(() if _FINE_TUNE.value else _DEFAULTS.frozen), *_FROZEN.value),
    )


if __name__ == "__main__":
    cli.run(main, FLAGS)
