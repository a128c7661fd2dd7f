r"""Measures a learned optimizer against optax's, each of these at the best of many rates.

Every optimizer trains the same networks on the same batches. Its best rate is the one that ends
with the lowest geometric mean of losses on the very problems that it is judged on, for each number
of steps anew; the learned optimizer has no rate. A row of its own is the rule as it is before any
meta-training.

Examples:
    python -m experiments.learned_optimizer.evaluate --output_dir=runs/untrained
    python -m experiments.learned_optimizer.evaluate --rule=runs/learned/rule.safetensors
    python -m experiments.learned_optimizer.evaluate --rule=runs/learned/rule.safetensors \
        --tasks=digits,characters --seeds=3 --output_dir=runs/table --resume

Prints the table and writes to the output folder:
    table.txt, results.json   the table; all final losses, rates and curves
    <task>.png                losses by step, a panel for each number of steps
    cells/                    what is finished, from which --resume goes on
"""

import datetime
import hashlib
import json
import pathlib
import subprocess
import sys
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from tqdm import tqdm

import metaopt
from basics.errors import InputError
from basics.files import write_atomic
from experiments.command_line import choices, cli
from experiments.command_line.output_folder import OutputFolder
from experiments.learned_optimizer import evaluation, report, step_time
from experiments.learned_optimizer.contenders import CONTENDERS, Contender
from experiments.learned_optimizer.meta_training import untrained
from experiments.learned_optimizer.tasks import HELD_OUT, images
from experiments.learned_optimizer.tasks.base import Family
from experiments.runs import trials

_UNTRAINED, _LEARNED = "untrained", "learned"

FLAGS = flags.FlagValues()
_RULE = flags.DEFINE_string(
    "rule", None, "A rule that train saved; by default only the untrained one.", flag_values=FLAGS
)
_OMNIGLOT_DIR = flags.DEFINE_string(
    "omniglot_dir", None, "A folder of Omniglot's zip files: one more task.", flag_values=FLAGS
)
_TASKS = flags.DEFINE_list("tasks", list(HELD_OUT), "To be judged on.", flag_values=FLAGS)
_SEEDS = flags.DEFINE_integer("seeds", 5, "Networks a task.", 2, flag_values=FLAGS)
_OUTPUT = OutputFolder(FLAGS, "runs/learned_optimizer_table", resumable=True)


def main(_: Sequence[str]) -> None:
    """Runs the program."""
    folder = _OUTPUT.path
    tasks = choices.choose(_TASKS.value, HELD_OUT, "task")
    rules: dict[str, metaopt.InnerOptimizer] = {_UNTRAINED: untrained()}
    if _RULE.value:
        rules[_LEARNED] = _read(_RULE.value)
    flat = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(rules)])
    identity = {"seeds": _SEEDS.value, "rule": hashlib.sha256(flat.tobytes()).hexdigest()}
    _OUTPUT.lock(identity, taken=(folder / "cells").exists())
    names = [*CONTENDERS, *rules]
    found: report.Found = {}
    families = {task: HELD_OUT[task]() for task in tasks}
    if _OMNIGLOT_DIR.value:
        families["omniglot"] = images.omniglot(_OMNIGLOT_DIR.value, 14, (48,))
    todo = [(task, name) for task in families for name in names]
    for task, name in tqdm(todo, "tasks x optimizers"):
        trained = CONTENDERS.get(name) or rules[name]
        result = _trial(folder, families[task], f"{task}-{name}", trained)
        found.setdefault(task, {})[name] = result
    times = step_time.measure(rules)
    text = report.table(found, list(rules), times)
    for task, results in found.items():
        report.save_plot(folder / f"{task}.png", task, results)
    document = {
        "command": " ".join(["python -m experiments.learned_optimizer.evaluate", *sys.argv[1:]]),
        "revision": _revision(),
        "date": datetime.date.today().isoformat(),
        "milliseconds a step": times,
        "tasks": found,
    }
    write_atomic(folder / "results.json", json.dumps(document) + "\n")
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
    if _OUTPUT.resumed and (done := trials.load(folder, row, _SEEDS.value)):
        return done
    keys = jax.random.split(jax.random.key(1), _SEEDS.value)
    result: report.Result = {"curves": {}, "rates": {}}
    curves = None
    for steps in evaluation.HORIZONS:
        if not isinstance(judged, Contender):
            trained = judged.replace(steps=jnp.asarray(steps, jnp.float32))
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


def _revision() -> str:
    """Of the checkout that runs; empty outside of one."""
    command = ["git", "-C", str(pathlib.Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    cli.run(main, FLAGS)
