"""How long a step takes on a network of 266,610 parameters."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

import metaopt
from experiments.benchmarks.timing import interleaved
from experiments.learned_optimizer import evaluation
from experiments.learned_optimizer.contenders import CONTENDERS
from experiments.learned_optimizer.tasks.base import apply_layers, error, initial_layers

_UNITS = (784, 300, 100, 10)  # LeCun et al. 1998, section III.C.3
_BATCH = 128
_REPEATS = 7


def measure(learned: Mapping[str, metaopt.InnerOptimizer]) -> dict[str, float]:
    """Milliseconds of a step with its gradient, the least of some; all measured interleaved."""
    keys = jax.random.split(jax.random.key(0), 3)
    params = initial_layers(keys[0], _UNITS, layer_norm=False)
    inputs = jax.random.uniform(keys[1], (_BATCH, _UNITS[0]))
    batch = inputs, jax.random.randint(keys[2], (_BATCH,), 0, _UNITS[-1])
    rules: dict[str, Any] = {
        name: evaluation.rule_of(contender, jnp.float32(1e-3), 1000)
        for name, contender in CONTENDERS.items()
    }
    rules |= learned
    rules["LSTM"] = metaopt.CoordinatewiseRNN("lstm", output="update", scale=0.03)
    calls = {
        name: functools.partial(_stepper(each), params, each.init(params), batch)
        for name, each in rules.items()
    }
    measured = interleaved(calls, _REPEATS, "time of a step")
    return {name: 1e3 * measurement.minimum for name, measurement in measured.items()}


def _stepper(rule: Any) -> Any:
    objective = metaopt.ScalarLoss(_loss)
    return jax.jit(lambda params, state, batch: rule.step(objective, params, state, batch))


def _loss(params: PyTree, batch: tuple[Array, Array]) -> Array:
    return error(apply_layers(params, batch[0]), batch[1])
