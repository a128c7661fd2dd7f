r"""Few-shot learning with any inner optimizer: meta-trains, evaluates on new tasks, draws curves.

A task is learned from a handful of samples by a few steps of a rule; what is meta-trained is where
those steps start, the rule itself, or the features below a head that is fitted in closed form.

Examples:
    python -m experiments.few_shot --task=sinusoid --inner_optimizer=maml
    python -m experiments.few_shot --task=sinusoid --inner_optimizer=maml,meta_sgd,lstm
    python -m experiments.few_shot --task=digits --inner_optimizer=ridge --outer_steps=300
    python -m experiments.few_shot --task=omniglot --data_dir=omniglot_zips --ways=20 --shots=5 \
        --inner_optimizer=first_order_maml --output_dir=runs/omniglot --resume

Tasks:
    sinusoid        regression to a sine wave from 10 of its points; no data
    digits          the 8x8 digits of scikit-learn: tests on 5 to 9; no network
    omniglot        handwritten characters, from the published zip files or TensorFlow Datasets
    omniglot_small1, omniglot_small2
                    the Omniglot challenge: five alphabets to learn from, 20 runs of 20 ways and one
                    drawing to tell, beside published results; from the published zip files
    mini_imagenet   84x84 photographs, from a folder

Inner optimizers:
    maml, first_order_maml, implicit_maml
                    gradient descent at a fixed rate from learned initial weights; the outer
                    gradient is exact, first-order, or that of the minimum
    meta_sgd, per_step_rates, learned_rates
                    a learned rate for each weight; each layer and step; each weight and step
    steepest_descent, gauss_newton, levenberg_marquardt, ridge
                    fit a linear head by least squares, in steps of exact length, in damped steps
                    on its whole curvature, or at once
    gradient_descent, adam, lstm, gru, mlp, gradient_network, none
                    metaopt's other rules, all of their numbers learned

Writes to the output folder:
    table.txt, results.json   scores before and after the fit, with 95 % intervals over episodes
    adaptation.png            scores by number of steps, beyond the number trained for
    <inner optimizer>/        learner.safetensors; state/, metrics.jsonl, events/ of the training
"""

import dataclasses
import pathlib
import time
from collections.abc import Sequence

import jax
from absl import flags

from basics import tensors
from basics.errors import InputError
from basics.leaves import named_leaves
from experiments.command_line import cli, shared_flags
from experiments.command_line.output_folder import OutputFolder
from experiments.few_shot import evaluation, report, tasks, training
from experiments.few_shot.methods import METHODS
from experiments.runs import run_lock

FLAGS = flags.FlagValues()
_TASK = flags.DEFINE_enum(
    "task", "sinusoid", list(tasks.TASKS), "What is learned.", flag_values=FLAGS
)
_INNER_OPTIMIZER = flags.DEFINE_list(
    "inner_optimizer",
    "maml",
    f"By which methods, separated by commas. Known are {', '.join(METHODS)}.",
    flag_values=FLAGS,
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "The folder of the data set, where it has files.", flag_values=FLAGS
)
_WAYS = flags.DEFINE_integer("ways", None, "Classes of an episode.", 2, flag_values=FLAGS)
_SHOTS = flags.DEFINE_integer(
    "shots", None, "Samples to fit to (of each class).", 1, flag_values=FLAGS
)
_QUERIES = flags.DEFINE_integer(
    "queries", None, "Images of each class that a fit is judged on.", 1, flag_values=FLAGS
)
_INNER_STEPS = flags.DEFINE_integer(
    "inner_steps", None, "Steps of the fit; by default as in the papers.", 1, flag_values=FLAGS
)
_OUTER_STEPS = flags.DEFINE_integer(
    "outer_steps", None, "Steps of the meta-training; by default the task's.", 1, flag_values=FLAGS
)
_EPISODES = flags.DEFINE_integer(
    "episodes", None, "Episodes in each outer step; by default the task's.", 1, flag_values=FLAGS
)
_LEARNING_RATE = flags.DEFINE_float(
    "learning_rate",
    training.TrainingConfig().learning_rate,
    "Of the outer loop at first.",
    0.0,
    flag_values=FLAGS,
)
_TEST_EPISODES = flags.DEFINE_integer(
    "test_episodes",
    600,
    "Episodes of the evaluation, where the task does not give them.",
    2,
    flag_values=FLAGS,
)
_MORE_STEPS = flags.DEFINE_integer(
    "more_steps", 10, "Steps of the evaluation beyond those trained.", 0, flag_values=FLAGS
)
_SEED = shared_flags.seed_flag(FLAGS)
_OUTPUT = OutputFolder(FLAGS, "runs/few_shot", resumable=True)


def main(_: Sequence[str]) -> None:
    """Runs the program."""
    folder = _OUTPUT.path
    names = _INNER_OPTIMIZER.value
    for name in names:
        if name not in METHODS:
            raise InputError(f"unknown inner optimizer {name!r}: known are {', '.join(METHODS)}")
    task = tasks.create(
        _TASK.value,
        data_dir=_DATA_DIR.value,
        ways=_WAYS.value,
        shots=_SHOTS.value,
        queries=_QUERIES.value,
    )
    settings = {
        name: FLAGS[name].value for name in ("task", "ways", "shots", "queries", "seed", "episodes")
    }
    rows, curves = {}, {}
    for name in names:
        rows[name], curves[name] = run(name, task, folder / name)
    shots = getattr(task, "shots", "")
    title = f"{task.name}, {shots}-shot, {len(next(iter(curves.values())).scores)} test episodes"
    print(report.write(folder, task, settings | {"title": title}, rows, curves))
    print(f"written to {folder}")


def run(
    name: str, task: tasks.Task, folder: pathlib.Path
) -> tuple[dict[str, float], evaluation.Curves]:
    """Trains and evaluates one method."""
    method = METHODS[name]
    learner = method.learner(task, jax.random.key(_SEED.value), _INNER_STEPS.value)
    config = training.TrainingConfig(
        outer_steps=_OUTER_STEPS.value or task.outer_steps,
        episodes=_EPISODES.value or task.episodes,
        learning_rate=_LEARNING_RATE.value,
        frozen=() if method.learns_rule else ("rule",),
        seed=_SEED.value,
        log_every=10 * task.stride,
        save_every=100 * task.stride,
    )
    run_lock.lock(
        folder,
        {
            "task": [task.name, _WAYS.value, _SHOTS.value, _QUERIES.value],
            "inner_optimizer": name,
            "inner_steps": learner.steps,
            "training": dataclasses.asdict(dataclasses.replace(config, save_every=1)),
        },
        taken=(folder / "state").exists(),
        resume=_OUTPUT.resumed,
    )
    start = time.monotonic()
    learner = training.train(learner, task, config, folder, resume=_OUTPUT.resumed, label=name)
    minutes = (time.monotonic() - start) / 60
    metadata = {"format": "metaopt learner 1", "task": task.name, "inner_optimizer": name}
    tensors.write(folder / "learner.safetensors", named_leaves(learner), metadata)
    curves = evaluation.evaluate(
        learner,
        task,
        episodes=_TEST_EPISODES.value,
        steps=learner.steps + _MORE_STEPS.value,
        seed=_SEED.value + 1,
        label=f"evaluating {name}",
    )
    row = {"inner_steps": learner.steps, "outer_steps": config.outer_steps, "minutes": minutes}
    return row, curves


if __name__ == "__main__":
    cli.run(main, FLAGS)
