r"""Measures a learned optimizer against optax's, each of these at the best of many rates.

Every optimizer trains the same networks on the same batches. Its best rate is the one that ends
with the lowest geometric mean of losses on the very problems that it is judged on, for each number
of steps anew; the learned optimizer has no rate. A row of its own is the one that metaopt ships.
The tasks are those that are held out; families of the meta-training may be named too.

Examples:
    python -m experiments.learned_optimizer.evaluate --output_dir=runs/table
    python -m experiments.learned_optimizer.evaluate --rule=runs/learned/rule.safetensors
    python -m experiments.learned_optimizer.evaluate --rule=runs/learned/rule.safetensors \
        --tasks=digits,characters --seeds=3 --output_dir=runs/table --resume
    python -m experiments.learned_optimizer.evaluate --tasks=bumps,topics --output_dir=runs/seen

Prints the table and writes to the output folder:
    table.txt, record.json    the table, and what it is made of
    <task>.png                losses by step, a panel for each number of steps
    cells/                    what is finished, from which --resume goes on
"""

import datetime
import hashlib
import json
import pathlib
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from tqdm import tqdm

import metaopt
from basics.errors import InputError
from basics.files import write_atomic
from experiments.benchmarks import optimizer_step
from experiments.command_line import choices, cli
from experiments.command_line.output_folder import OutputFolder
from experiments.learned_optimizer import evaluation, meta_training, plots, report
from experiments.learned_optimizer.contenders import CONTENDERS, Contender
from experiments.learned_optimizer.tasks import HELD_OUT, TRAINING, images
from experiments.learned_optimizer.tasks.base import Family
from experiments.runs import metadata, trials

_PROGRAM = "experiments.learned_optimizer.evaluate"
_SHIPPED = "orthogonal_mlp"
_NETWORK, _ROUNDS = "full", 30  # on which a step is timed, and how often

FLAGS = flags.FlagValues()
_RULE = flags.DEFINE_string(
    "rule", None, "A rule that train saved: one more row, of its folder's name.", flag_values=FLAGS
)
_OMNIGLOT_DIR = flags.DEFINE_string(
    "omniglot_dir", None, "A folder of Omniglot's zip files: one more task.", flag_values=FLAGS
)
_TASKS = flags.DEFINE_list(
    "tasks", list(HELD_OUT), "To be judged on; all is those of training too.", flag_values=FLAGS
)
_SEEDS = flags.DEFINE_integer("seeds", 5, "Networks a task.", 2, flag_values=FLAGS)
_OUTPUT = OutputFolder(FLAGS, "runs/learned_optimizer_table", resumable=True)


def main(_: Sequence[str]) -> None:
    """Runs the program."""
    folder = _OUTPUT.path
    known = {**HELD_OUT, **TRAINING}
    tasks = choices.choose(_TASKS.value, known, "task")
    rules = {_SHIPPED: metaopt.pretrained(_SHIPPED)}
    if _RULE.value:
        name = pathlib.Path(_RULE.value).resolve().parent.name
        if name in {**CONTENDERS, **rules}:
            raise InputError(f"--rule={_RULE.value}: {name} is another row: rename its folder")
        rules[name] = _read(_RULE.value)
    _OUTPUT.lock({"seeds": _SEEDS.value}, taken=(folder / "cells").exists())
    names = [*CONTENDERS, *rules]
    found: report.Found = {}
    families = {task: known[task]() for task in tasks}
    if _OMNIGLOT_DIR.value:
        families["omniglot"] = images.omniglot(_OMNIGLOT_DIR.value, 14, (48,))
    todo = [(task, name) for task in families for name in names]
    for task, name in tqdm(todo, "tasks x optimizers"):
        judged = CONTENDERS.get(name) or rules[name]
        row = f"{task}-{name if name in CONTENDERS else _digest(judged)}"
        found.setdefault(task, {})[name] = _trial(folder, families[task], row, judged)
    document = {
        "command": shlex.join(["python", "-m", _PROGRAM, *sys.argv[1:]]),
        "date": datetime.date.today().isoformat(),
        "versions": metadata.versions(),
        "milliseconds a step": _milliseconds(rules),
        "tasks": report.record(found),
    }
    text = report.table(document, list(rules))
    for task, results in found.items():
        plots.save_plot(folder / f"{task}.png", task, results)
    write_atomic(folder / "record.json", json.dumps(document) + "\n")
    write_atomic(folder / "table.txt", text + "\n")
    print(text)


def _read(path: str) -> metaopt.InnerOptimizer:
    """A saved rule; raises InputError if the file holds none."""
    try:
        return metaopt.load(path)
    except ValueError as error:
        raise InputError(str(error)) from error


def _trial(
    folder: pathlib.Path,
    family: Family,
    row: str,
    judged: Contender | metaopt.InnerOptimizer,
) -> report.Result:
    """The curves at the best rate for each horizon; from disk if they are there already."""
    if done := trials.load(folder, row, _SEEDS.value):
        return done
    keys = jax.random.split(jax.random.key(1), _SEEDS.value)
    result: report.Result = {"curves": {}, "rates": {}}
    curves = None
    for steps in evaluation.HORIZONS:
        if not isinstance(judged, Contender):
            trained = meta_training.told(judged, steps)
            curves = np.asarray(evaluation.learned_curves(trained, family, keys, steps))[None]
            rate = None
        else:
            if curves is None or judged.scheduled:
                longest = steps if judged.scheduled else max(evaluation.HORIZONS)
                rates = jnp.asarray(judged.rates)
                curves = np.asarray(evaluation.curves(judged, family, keys, rates, longest))
            rate = float(judged.rates[evaluation.best(curves, steps)])
        chosen = curves[evaluation.best(curves, steps)]
        within = int(np.searchsorted(evaluation.RECORDED, steps)) + 1
        result["curves"][str(steps)] = chosen[:, :within].astype(float).tolist()
        result["rates"][str(steps)] = rate
    trials.save(folder, row, _SEEDS.value, result)
    return result


def _milliseconds(rules: Mapping[str, metaopt.InnerOptimizer]) -> dict[str, float]:
    """Of processor time of a step of each optimizer, the least of some.

    Other programs do not lengthen it, and a table takes hours.
    """
    timed: dict[str, Any] = {
        name: evaluation.rule_of(contender, jnp.float32(1e-3), 1000)
        for name, contender in CONTENDERS.items()
    }
    timed |= {"LSTM": metaopt.CoordinatewiseRNN("lstm", output="update", scale=0.03), **rules}
    measured = optimizer_step.measure(timed, _NETWORK, _ROUNDS, time.process_time)
    return {name: 1e3 * measurement.minimum for name, measurement in measured.items()}


def _digest(rule: Any) -> str:
    """Tells rules apart, so that one folder may hold the trials of several."""
    flat = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(rule)])
    return hashlib.sha256(flat.tobytes()).hexdigest()[:12]


if __name__ == "__main__":
    cli.run(main, FLAGS)
