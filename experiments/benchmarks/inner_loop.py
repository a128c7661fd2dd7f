"""The fit of a target filter: steepest descent on DiMP's discriminative loss.

Compares `models.correlate`, by which every tracker here correlates, with the same recursion on a
plain convolution, and with the least time in which memory can deliver the features.
"""

import dataclasses
import functools
from collections.abc import Callable, Hashable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import metaopt
from experiments.benchmarks.report import Comparison, Report
from experiments.benchmarks.timing import interleaved, read, relative_difference
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
    """

    samples: int
    maps: tuple[tuple[int, int], ...]
    steps: tuple[int, ...]


PRESETS = {
    "smoke": Preset(samples=2, maps=((6, 8),), steps=(2,)),
    "full": Preset(samples=15, maps=((18, 256), (22, 512)), steps=(5, 10)),
}


class PlainDiscriminativeLoss(DiscriminativeLoss):
    """The same loss, its scores computed by one XLA convolution."""

    def scores(
        self, target_filter: Float[Array, "kh kw c"], samples: FilterSamples
    ) -> Float[Array, "n oh ow"]:
        return correlate_plain(samples.features, target_filter)


_LOSSES = {"matrix product": DiscriminativeLoss, "plain convolution": PlainDiscriminativeLoss}


@functools.partial(jax.jit, static_argnames="steps")
def forward(
    loss: DiscriminativeLoss,
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
    loss: DiscriminativeLoss,
    target_filter: Float[Array, "k k c"],
    samples: FilterSamples,
    steps: int,
) -> Any:
    """The gradient of the final filter's squared norm by the loss, the filter and the features."""

    def outer(loss: DiscriminativeLoss, target_filter: Array, features: Array) -> Array:
        final = forward(loss, target_filter, samples.replace(features=features), steps)
        return jnp.sum(final**2)

    return jax.grad(outer, (0, 1, 2))(loss, target_filter, samples.features)


_PASSES = {"forward": forward, _BACKWARD: forward_backward}


def run(preset: str, repeats: int) -> Report:
    """Times every problem of a preset, in both ways."""
    sizes = PRESETS[preset]
    cases = [(m, steps, name) for m in sizes.maps for steps in sizes.steps for name in _PASSES]
    calls: dict[Hashable, Callable[[], Any]] = {"large": read(_LARGE)}
    for side, channels in sizes.maps:
        target_filter, samples = problem(sizes.samples, side, channels)
        calls[side, channels] = read(samples.features.nbytes)
        for steps in sizes.steps:
            for name, function in _PASSES.items():
                for way, loss in _LOSSES.items():
                    calls[(side, channels), steps, name, way] = functools.partial(
                        function, loss(DiscriminativeLossConfig()), target_filter, samples, steps
                    )
    measured = interleaved(calls, repeats, "inner_loop")

    comparisons = []
    for (side, channels), steps, name in cases:
        size = 4 * sizes.samples * side**2 * channels
        rate = max(_LARGE / measured["large"].minimum, size / measured[side, channels].minimum)
        times = {way: measured[(side, channels), steps, name, way] for way in _LOSSES}
        ours, plain = times.values()
        floor = passes_over_features(steps, name == _BACKWARD) * size / rate
        comparisons.append(
            Comparison(
                case={"features": f"{side}x{side}x{channels}", "steps": steps, "pass": name},
                times=times,
                numbers={
                    "plain / ours": plain.minimum / ours.minimum,
                    "read, GB/s": rate / 1e9,
                    "floor, ms": 1e3 * floor,
                    "ours / floor": ours.minimum / floor,
                    "difference": relative_difference(ours.output, plain.output),
                },
            )
        )
    return Report(comparisons, _notes(sizes.samples))


def problem(count: int, side: int, channels: int) -> tuple[Float[Array, "k k c"], FilterSamples]:
    """A random initial filter and samples, scaled as a tracker scales them."""
    keys = jax.random.split(jax.random.key(0), 3)
    taps = _FILTER_SIZE**2 * channels
    features = jax.random.normal(keys[0], (count, side, side, channels)) / jnp.sqrt(taps)
    target_filter = 0.05 * jax.random.normal(keys[1], (_FILTER_SIZE, _FILTER_SIZE, channels))
    centers = side / 2 + jax.random.normal(keys[2], (count, 2))
    return target_filter, FilterSamples(features, centers, jnp.full(count, 1 / count))


def passes_over_features(steps: int, backward: bool) -> int:
    """How many times any implementation must move the features X through memory.

    A step reads X for its gradient g = X'r and, when that is complete, for its step length |X g|.
    The way back reads X at least once more a step, and writes the gradient by X once.
    """
    return 3 * steps + 1 if backward else 2 * steps


def _notes(samples: int) -> list[str]:
    return [
        f"{samples} samples, filter {_FILTER_SIZE}x{_FILTER_SIZE}; ratios are of minima.",
        f"read: the better of summing as many bytes as the features have, and {_LARGE >> 20} MiB.",
        "floor: bytes of the features / read, times 2 * steps forward and 3 * steps + 1 forward + "
        "backward.",
        "difference: the largest between the two results (filter, or gradients), relative to the "
        "largest magnitude.",
    ]
