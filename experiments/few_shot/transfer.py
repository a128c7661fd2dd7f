r"""Meta-trains an LSTM optimizer on sine waves, saves it, and trains digit classifiers with it.

The rule learns to train small networks from random weights to fit sine waves. Loaded from its file,
it then trains networks that it has never seen, for a loss that it has never seen, beside SGD and
Adam at the best of many rates, each chosen on the very problems that it is judged on.

Examples:
    python -m experiments.few_shot.transfer --output_dir=runs/transfer
    python -m experiments.few_shot.transfer --output_dir=runs/again \
        --rule=runs/transfer/rule.safetensors

Writes to the output folder:
    rule.safetensors          the rule
    results.json              losses by step, best rates, steps to the loss that SGD ends with
    losses.png                the losses by step, on fresh sine waves and on digits
    state/, metrics.jsonl, events/
                              of the meta-training, from which --resume goes on
"""

import json
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from absl import flags
from matplotlib.figure import Figure

import metaopt
from basics.figures import line_style, save_figure
from basics.files import write_atomic
from experiments.command_line import cli, shared_flags
from experiments.command_line.output_folder import OutputFolder
from experiments.few_shot import from_scratch, saved_rules, training

_RATES = {
    "SGD": (optax.sgd, np.geomspace(0.003, 3.0, 10)),
    "Adam": (optax.adam, np.geomspace(3e-4, 0.3, 10)),
}

FLAGS = flags.FlagValues()
_RULE = flags.DEFINE_string(
    "rule", None, "A saved rule; by default one is meta-trained.", flag_values=FLAGS
)
_OUTER_STEPS = flags.DEFINE_integer(
    "outer_steps", 600, "Steps of the meta-training.", 1, flag_values=FLAGS
)
_TRAINED_STEPS = flags.DEFINE_integer(
    "trained_steps", 40, "Steps of each training within it.", 1, flag_values=FLAGS
)
_STEPS = flags.DEFINE_integer(
    "steps", 100, "Steps of the trainings that are compared.", 1, flag_values=FLAGS
)
_PROBLEMS = flags.DEFINE_integer(
    "problems", 10, "Networks over which losses are averaged.", 1, flag_values=FLAGS
)
_SEED = shared_flags.seed_flag(FLAGS)
_OUTPUT = OutputFolder(FLAGS, "runs/transfer", resumable=True)


def main(_: Sequence[str]) -> None:
    """Runs the program."""
    folder = _OUTPUT.path
    path = pathlib.Path(_RULE.value) if _RULE.value else folder / "rule.safetensors"
    if not _RULE.value:
        rule, minutes = meta_train(folder)
        saved_rules.save(path, rule, outer_steps=_OUTER_STEPS.value, minutes=minutes)
    rule = saved_rules.load(path)
    families = {
        "sine waves": from_scratch.SineWaves(steps=_STEPS.value),
        "digits": from_scratch.AllDigits.create(_STEPS.value),
    }
    found = {name: compare(family, rule) for name, family in families.items()}
    save_plot(folder / "losses.png", found)
    write_atomic(folder / "results.json", json.dumps(found, indent=1) + "\n")
    for name, result in found.items():
        print(f"{name}: {describe(result)}")
    print(f"written to {folder}")


def meta_train(folder: pathlib.Path) -> tuple[metaopt.CoordinatewiseRNN, float]:
    """The rule, and the minutes that it took."""
    rule = metaopt.CoordinatewiseRNN("lstm", output="update", scale=0.03)
    config = training.TrainingConfig(
        outer_steps=_OUTER_STEPS.value, episodes=4, learning_rate=3e-3, clip=1.0, seed=_SEED.value
    )
    start = time.monotonic()
    family = from_scratch.SineWaves(steps=_TRAINED_STEPS.value)
    learner = training.train(
        from_scratch.RuleLearner(rule), family, config, folder, resume=_OUTPUT.resumed
    )
    return learner.rule, round((time.monotonic() - start) / 60, 1)


def compare(family: Any, rule: metaopt.InnerOptimizer) -> dict[str, Any]:
    """Mean losses of the rule, and of SGD and Adam at the rate at which each ends lowest."""
    keys = jax.random.split(jax.random.key(_SEED.value + 1), _PROBLEMS.value)
    losses = {"LSTM": from_scratch.mean_losses(family, rule, keys)}
    rates = {}
    for name, (make, candidates) in _RATES.items():
        at_rate = lambda rate, make=make: metaopt.GradientDescent(
            optax.inject_hyperparams(make)(learning_rate=0.0)
        ).replace(hyperparams={"learning_rate": rate})
        rates[name], losses[name] = from_scratch.best_rate(
            family, at_rate, keys, jnp.asarray(candidates)
        )
    goal = float(losses["SGD"][-1])
    return {
        "rates": rates,
        "goal": goal,
        "steps": {name: from_scratch.steps_to(curve, goal) for name, curve in losses.items()},
        "losses": {name: np.asarray(curve, float).tolist() for name, curve in losses.items()},
    }


def describe(result: Mapping[str, Any]) -> str:
    """A sentence on who reaches SGD's last loss, and when."""
    parts = []
    for name, steps in result["steps"].items():
        at_rate = f" at {result['rates'][name]:.3g}" if name in result["rates"] else ""
        parts.append(f"{name}{at_rate} {'never' if steps is None else f'after {steps} steps'}")
    return f"the loss {result['goal']:.4g} is reached by {', '.join(parts)}"


def save_plot(path: pathlib.Path, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Losses by step, a panel for each family."""
    figure = Figure(figsize=(5 * len(found), 4), layout="constrained")
    for axes, (name, result) in zip(figure.subplots(1, len(found)), found.items(), strict=True):
        for index, (rule, curve) in enumerate(result["losses"].items()):
            rate = f", rate {result['rates'][rule]:.3g}" if rule in result["rates"] else ""
            axes.plot(curve, label=f"{rule}{rate}", **line_style(index))
        axes.axhline(result["goal"], color="0.7", linestyle=":")
        axes.set(xlabel="step", ylabel="mean loss", yscale="log", title=name)
        axes.grid(color="0.9", which="both")
        axes.set_axisbelow(True)
        axes.legend(fontsize="small")
    save_figure(path, figure)


if __name__ == "__main__":
    cli.run(main, FLAGS)
