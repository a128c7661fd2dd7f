"""The fit of a target filter: steepest descent on DiMP's discriminative loss.

Compares `models.correlate`, by which every tracker here correlates, and scores carried from step to
step, with the same recursion on a plain convolution, computed anew at each step, and with the least
time in which memory can deliver the features.
"""

import dataclasses
import functools
from collections.abc import Callable, Hashable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

import metaopt
from experiments.benchmarks.report import Comparison, Report
from experiments.benchmarks.timing import interleaved, product, read, relative_difference
from models import correlate_plain
from tracking_tasks.trackers.dimp.loss import (
    DiscriminativeLoss,
    DiscriminativeLossConfig,
    FilterSamples,
)

_FILTER_SIZE = 4
_LARGE = 2**28  # bytes, more than any cache holds
_BACKWARD = "forward + backward"


@dataclasses.dataclass(frozen=True)
class Preset:
    """The problems.

    Attributes:
        samples: number of feature maps.
        maps: side and channels of each.
        steps: numbers of inner steps.
        product: side of the matrices whose product measures arithmetic.
    """

    samples: int
    maps: tuple[tuple[int, int], ...]
    steps: tuple[int, ...]
    product: int


PRESETS = {
    "smoke": Preset(samples=2, maps=((6, 8),), steps=(2,), product=64),
    "full": Preset(samples=15, maps=((18, 256), (22, 512)), steps=(5, 10), product=2048),
}


class PlainDiscriminativeLoss(nnx.Module):
    """The same loss, its scores computed by one XLA convolution; no step carries them on."""

    def __init__(self, config: DiscriminativeLossConfig):
        self.loss = DiscriminativeLoss(config)

    def __call__(
        self, target_filter: Float[Array, "kh kw c"], samples: FilterSamples
    ) -> tuple[Float[Array, "n oh ow"], Float[Array, "kh kw c"]]:
        scores = correlate_plain(samples.features, target_filter)
        return self.loss(target_filter, samples, scores)


_LOSSES = {"matrix product": DiscriminativeLoss, "plain convolution": PlainDiscriminativeLoss}
_Loss = DiscriminativeLoss | PlainDiscriminativeLoss


@functools.partial(jax.jit, static_argnames="steps")
def forward(
    loss: _Loss,
    target_filter: Float[Array, "k k c"],
    samples: FilterSamples,
    steps: int,
) -> Float[Array, "k k c"]:
    """Returns the filter after some steps of steepest descent."""
    objective = metaopt.LeastSquares(loss)
    rule = metaopt.SteepestDescent()
    return metaopt.fit(rule, objective, target_filter, samples, steps=steps).params


@functools.partial(jax.jit, static_argnames="steps")
def forward_backward(
    loss: _Loss,
    target_filter: Float[Array, "k k c"],
    samples: FilterSamples,
    steps: int,
) -> Any:
    """The gradient of the final filter's squared norm by the loss, the filter and the features."""

    def outer(loss: _Loss, target_filter: Array, features: Array) -> Array:
        final = forward(loss, target_filter, samples.replace(features=features), steps)
        return jnp.sum(final**2)

    return jax.grad(outer, (0, 1, 2))(loss, target_filter, samples.features)


_PASSES = {"forward": forward, _BACKWARD: forward_backward}


def run(preset: str, repeats: int) -> Report:
    """Times every problem of a preset, in both ways."""
    sizes = PRESETS[preset]
    return Report(measure(sizes, repeats), notes(sizes))


def measure(sizes: Preset, repeats: int, dtype: Any = jnp.float32) -> list[Comparison]:
    """The same as rows, with the features and the filter in numbers of that type."""
    calls: dict[Hashable, Callable[[], Any]] = {
        "large": read(_LARGE),
        "product": product(sizes.product, dtype),
    }
    for side, channels in sizes.maps:
        target_filter, samples = problem(sizes.samples, side, channels, dtype)
        calls[side, channels] = read(samples.features.nbytes)
        for steps in sizes.steps:
            for name, function in _PASSES.items():
                for way, loss in _LOSSES.items():
                    calls[(side, channels), steps, name, way] = functools.partial(
                        function, loss(DiscriminativeLossConfig()), target_filter, samples, steps
                    )
    measured = interleaved(calls, repeats, f"inner_loop, {jnp.dtype(dtype)}")
    peak = 2 * sizes.product**3 / measured["product"].minimum
    cases = [(m, steps, name) for m in sizes.maps for steps in sizes.steps for name in _PASSES]
    rows = []
    for (side, channels), steps, name in cases:
        elements = sizes.samples * side**2 * channels
        size = jnp.dtype(dtype).itemsize * elements
        rate = max(_LARGE / measured["large"].minimum, size / measured[side, channels].minimum)
        times = {way: measured[(side, channels), steps, name, way] for way in _LOSSES}
        ours, plain = times.values()
        passes = passes_over_features(steps, name == _BACKWARD)
        floor = passes * size / rate
        arithmetic = passes * 2 * _FILTER_SIZE**2 * elements / peak
        numbers = {
            "plain / ours": plain.minimum / ours.minimum,
            "read, GB/s": rate / 1e9,
            "floor, ms": 1e3 * floor,
            "ours / floor": ours.minimum / floor,
            "product, GFLOP/s": peak / 1e9,
            "arithmetic, ms": 1e3 * arithmetic,
            "ours / arithmetic": ours.minimum / arithmetic,
            "difference": relative_difference(ours.output, plain.output),
        }
        case: dict[str, str | int] = {
            "features": f"{side}x{side}x{channels}",
            "type": str(jnp.dtype(dtype)),
            "steps": steps,
            "pass": name,
        }
        rows.append(Comparison(case, times, numbers))
    return rows


def problem(
    count: int, side: int, channels: int, dtype: Any = None
) -> tuple[Float[Array, "k k c"], FilterSamples]:
    """A random initial filter and samples, scaled as a tracker scales them.

    Args:
        count: number of samples.
        side: of their feature maps.
        channels: of those.
        dtype: of features and filter, by default JAX's.
    """
    keys = jax.random.split(jax.random.key(0), 3)
    taps = _FILTER_SIZE**2 * channels
    features = jax.random.normal(keys[0], (count, side, side, channels)) / jnp.sqrt(taps)
    target_filter = 0.05 * jax.random.normal(keys[1], (_FILTER_SIZE, _FILTER_SIZE, channels))
    centers = side / 2 + jax.random.normal(keys[2], (count, 2))
    features, target_filter = (x.astype(dtype or x.dtype) for x in (features, target_filter))
    return target_filter, FilterSamples(features, centers, jnp.full(count, 1 / count))


def passes_over_features(steps: int, backward: bool) -> int:
    """How many times any implementation must move the features X through memory.

    A step reads X for its gradient g = X'r and, when that is complete, for its step length |X g|.
    The way back reads X at least once more a step, and writes the gradient by X once.
    """
    return 3 * steps + 1 if backward else 2 * steps


def notes(sizes: Preset) -> list[str]:
    """What the columns mean."""
    return [
        f"{sizes.samples} samples, filter {_FILTER_SIZE}x{_FILTER_SIZE}; ratios are of minima.",
        f"read: the better of summing as many bytes as the features have, and {_LARGE >> 20} MiB.",
        "floor: bytes of the features / read, times 2 * steps forward and 3 * steps + 1 forward + "
        "backward.",
        "arithmetic: as often the products of all features with the filter's taps, at the speed of "
        f"a product of {sizes.product}x{sizes.product} matrices.",
        "difference: the largest between the two results (filter, or gradients), relative to the "
        "largest magnitude.",
    ]
