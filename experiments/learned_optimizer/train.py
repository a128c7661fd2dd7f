r"""Meta-trains a learned optimizer for any network on small trainings, and saves it.

Examples:
    python -m experiments.learned_optimizer.train --preset=minutes --output_dir=runs/learned
    python -m experiments.learned_optimizer.train --preset=long --output_dir=runs/learned \
        --resume

Writes to the output folder:
    rule.safetensors          the rule
    provenance.json           what made it
    state/, metrics.jsonl, events/
                              of the meta-training, from which --resume goes on
"""

import dataclasses
import datetime
import json
import shlex
import sys
import time
from collections.abc import Sequence

from absl import flags

import metaopt
from basics.files import write_atomic
from experiments.command_line import choices, cli, shared_flags
from experiments.command_line.output_folder import OutputFolder
from experiments.learned_optimizer.meta_training import UNTRAINED, MetaTrainingConfig, meta_train
from experiments.learned_optimizer.tasks import TRAINING
from experiments.runs import metadata

_PROGRAM = "experiments.learned_optimizer.train"

PRESETS = {
    "minutes": MetaTrainingConfig(outer_steps=60, longest=256, pairs=4, save_every=20),
    "long": MetaTrainingConfig(outer_steps=1500, save_every=50, log_every=1),
}

FLAGS = flags.FlagValues()
_PRESET = flags.DEFINE_enum(
    "preset", "long", list(PRESETS), "Minutes, or half an hour.", flag_values=FLAGS
)
_RULE = flags.DEFINE_enum(
    "rule", "orthogonal_mlp", list(UNTRAINED), "What is meta-trained.", flag_values=FLAGS
)
_FAMILIES = flags.DEFINE_list(
    "families", list(TRAINING), "What it is trained on, in turns.", flag_values=FLAGS
)
_OUTER_STEPS = flags.DEFINE_integer(
    "outer_steps", None, "Instead of the preset's.", 1, flag_values=FLAGS
)
_SEED = shared_flags.seed_flag(FLAGS)
_OUTPUT = OutputFolder(FLAGS, "runs/learned_optimizer", resumable=True)


def main(_: Sequence[str]) -> None:
    """Runs the program."""
    folder = _OUTPUT.path
    config = dataclasses.replace(PRESETS[_PRESET.value], seed=_SEED.value)
    if _OUTER_STEPS.value:
        config = dataclasses.replace(config, outer_steps=_OUTER_STEPS.value)
    names = choices.choose(_FAMILIES.value, TRAINING, "family")
    families = [TRAINING[name]() for name in names]
    identity = dataclasses.asdict(config) | {"families": names, "rule": _RULE.value}
    _OUTPUT.lock(identity, taken=(folder / "state").exists())
    start = time.monotonic()
    rule = meta_train(UNTRAINED[_RULE.value](), families, config, folder, resume=_OUTPUT.resumed)
    minutes = round((time.monotonic() - start) / 60, 1)
    path = folder / "rule.safetensors"
    metaopt.save(path, rule)
    provenance = {
        "command": shlex.join(["python", "-m", _PROGRAM, *sys.argv[1:]]),
        "date": datetime.date.today().isoformat(),
        "minutes": minutes,  # since the last --resume
        "versions": metadata.versions(),
        **identity,
    }
    write_atomic(folder / "provenance.json", json.dumps(provenance, indent=1) + "\n")
    print(f"written to {path} after {minutes} minutes")


if __name__ == "__main__":
    cli.run(main, FLAGS)
