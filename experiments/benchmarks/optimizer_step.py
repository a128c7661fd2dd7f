"""What a step of an optimizer costs on a network of 266,610 parameters, its gradient included."""

import functools
import itertools
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree, Scalar

import metaopt
from experiments.benchmarks.report import Comparison, Report
from experiments.benchmarks.timing import Measurement, interleaved

_ADAM = "Adam"

# Units of each layer: LeCun et al. 1998, section III.C.3; and the samples of a batch.
PRESETS = {"smoke": ((6, 5, 3), 4), "full": ((784, 300, 100, 10), 128)}


def run(preset: str, repeats: int) -> Report:
    """Times the learned optimizers beside optax's Adam."""
    units, _ = PRESETS[preset]
    rules: dict[str, Any] = {
        "OrthogonalMLP": metaopt.OrthogonalMLP(1000.0),
        "LSTM": metaopt.CoordinatewiseRNN("lstm", output="update", scale=0.03),
        _ADAM: metaopt.GradientDescent(optax.adam(1e-3)),
    }
    measured = measure(rules, preset, repeats)
    adam = measured[_ADAM].minimum
    numbers = {
        f"{name} / {_ADAM}": measured[name].minimum / adam for name in rules if name != _ADAM
    }
    case: dict[str, str | int] = {"layers": "-".join(map(str, units)), "parameters": size(preset)}
    return Report([Comparison(case, measured, numbers)], ["Ratios are of minima."])


def measure(
    rules: Mapping[str, Any],
    preset: str,
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Measurement]:
    """The time of a step with its gradient; all measured interleaved.

    Args:
        rules: with `init` and `step`, as an inner optimizer's.
        preset: which network.
        repeats: number of rounds.
        clock: in seconds.
    """
    params, batch = _problem(preset)
    calls = {
        name: functools.partial(_stepper(rule), params, rule.init(params), batch)
        for name, rule in rules.items()
    }
    return interleaved(calls, repeats, "time of a step", clock)


def size(preset: str) -> int:
    """The number of the network's parameters."""
    return sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(lambda: _problem(preset)[0])))


@functools.partial(jax.jit, static_argnums=0)
def _problem(preset: str) -> tuple[PyTree, tuple[Float[Array, "n inputs"], Int[Array, " n"]]]:
    """A random network, and random samples in random classes."""
    units, samples = PRESETS[preset]
    keys = jax.random.split(jax.random.key(0), 1 + len(units))
    initial = jax.nn.initializers.lecun_normal()
    params = [
        {"kernel": initial(key, pair), "bias": jnp.zeros(pair[1])}
        for key, pair in zip(keys[2:], itertools.pairwise(units), strict=True)
    ]
    inputs = jax.random.uniform(keys[0], (samples, units[0]))
    return params, (inputs, jax.random.randint(keys[1], (samples,), 0, units[-1]))


def _stepper(rule: Any) -> Any:
    objective = metaopt.ScalarLoss(_loss)
    return jax.jit(lambda params, state, batch: rule.step(objective, params, state, batch))


def _loss(params: PyTree, batch: tuple[Array, Array]) -> Scalar:
    x, labels = batch
    for layer in params[:-1]:
        x = jax.nn.relu(x @ layer["kernel"] + layer["bias"])
    logits = x @ params[-1]["kernel"] + params[-1]["bias"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
