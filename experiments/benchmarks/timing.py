"""Times several computations in one run, interleaved, so that other load hits all of them alike."""

import dataclasses
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

_Key = TypeVar("_Key", bound=Hashable)
Calls = Mapping[_Key, Callable[[], Any]]

_LEAST_SECONDS = 0.1  # of each call in each round: fast ones are repeated until then


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What a computation returned, and how long it took.

    Attributes:
        output: of its first call.
        minimum: seconds, over all rounds; ratios are taken of minima, which load disturbs least.
        median: seconds.
    """

    output: Any
    minimum: float
    median: float


def interleaved(
    calls: Calls[_Key],
    repeats: int,
    label: str,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[_Key, Measurement]:
    """Calls everything once to compile it, then everything in turn, `repeats` times over.

    Args:
        calls: computations, each returning a pytree of arrays.
        repeats: number of rounds, at least 1.
        label: of the progress bar.
        clock: in seconds.
    """
    outputs: dict[_Key, Any] = {}
    seconds: dict[_Key, list[float]] = {key: [] for key in calls}
    with tqdm(total=len(calls) * (1 + repeats), desc=label, unit="call") as bar:
        for key, call in calls.items():
            outputs[key] = jax.block_until_ready(call())
            bar.update()
        for _ in range(repeats):
            for key, call in calls.items():
                seconds[key] += _time(call, clock)
                bar.update()
    return {
        key: Measurement(outputs[key], min(times), float(np.median(times)))
        for key, times in seconds.items()
    }


def _time(call: Callable[[], Any], clock: Callable[[], float]) -> list[float]:
    times: list[float] = []
    while sum(times) < _LEAST_SECONDS:
        start = clock()
        jax.block_until_ready(call())
        times.append(clock() - start)
    return times


def read(size: int) -> Callable[[], jax.Array]:
    """A computation that reads an array of so many bytes once, to measure memory bandwidth."""
    array = jnp.ones(size // 4, jnp.float32)
    return lambda: _sum(array)


_sum = jax.jit(jnp.sum)


def product(side: int, dtype: Any = jnp.float32) -> Callable[[], jax.Array]:
    """The product of two square matrices, 2 side^3 operations, to measure arithmetic."""
    matrix = jnp.ones((side, side), dtype)
    return lambda: _product(matrix, matrix)


_product = jax.jit(jnp.matmul)


def relative_difference(actual: Any, expected: Any) -> float:
    """The largest difference in any leaf, relative to the largest magnitude in that leaf."""
    pairs = zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True)
    return max(_relative(*(np.asarray(leaf).astype(float) for leaf in pair)) for pair in pairs)


def _relative(actual: np.ndarray, expected: np.ndarray) -> float:
    scale = max(np.abs(expected).max(), np.finfo(float).tiny)
    return float(np.abs(actual - expected).max() / scale)
