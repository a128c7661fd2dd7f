"""From a score map to where the target is and how far that can be trusted."""

import dataclasses
import enum
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Num

from tracking_tasks.peaks import highest, sub_cell


class Trust(enum.IntEnum):
    """What the scores say about the target (Bhat et al. 2019, section 3.7; published code)."""

    NORMAL = 0
    HARD_NEGATIVE = 1  # found, and a look-alike with it: learn from this frame at once
    UNCERTAIN = 2  # two equal peaks: move there, learn nothing
    NOT_FOUND = 3  # stay, learn nothing


@dataclasses.dataclass(frozen=True)
class LocalizationConfig:
    """Thresholds of the published DiMP tracker (parameter/dimp/dimp50.py), and two of our own.

    Attributes:
        lost_threshold: a highest score below this means that the target is absent.
        distractor: a second peak above this share of the first is as good as it.
        hard_negative: a second peak above this share is a look-alike worth learning.
        neighborhood: side of the region around the first peak in which there is no second, in
            target sizes.
        displacement: a peak is far from the last position if it is further than this share of
            half the map's side (square root of its area).
        follow_look_alikes: tell the target from what looks like it by where the two were in the
            last frame (here), not only by how high their peaks are.
        most_hidden: the longest that a followed look-alike hides the target, in frames (here).
    """

    lost_threshold: float = 0.25
    distractor: float = 0.8
    hard_negative: float = 0.5
    neighborhood: float = 2.2
    displacement: float = 0.8
    follow_look_alikes: bool = False
    most_hidden: int = 10


class LookAlike(NamedTuple):
    """The second hypothesis: what looks like the target, beside it.

    Attributes:
        position: x, y in frame pixels; NaN if there is none.
        hides: the number of frames until now in which it hid the target.
    """

    position: Float[Array, "2"]
    hides: Int[Array, ""]

    @classmethod
    def none(cls) -> "LookAlike":
        return cls(jnp.full(2, jnp.nan, jnp.float32), jnp.zeros((), jnp.int32))


class Last(NamedTuple):
    """Attributes: the target's center and size in frame pixels, and the last frame's look-alike."""

    center: Float[Array, "2"]
    size: Float[Array, "2"]
    look_alike: LookAlike


class Location(NamedTuple):
    """Where the target is on a score map, and what looks like it.

    Attributes:
        position: x, y in cells, between them.
        score: there, or where it was if it is hidden.
        trust: a `Trust` value.
        look_alike: what was not taken for the target.
    """

    position: Float[Array, "2"]
    score: Float[Array, ""]
    trust: Int[Array, ""]
    look_alike: LookAlike


class Peaks(NamedTuple):
    """The two highest peaks of a score map.

    Attributes:
        first, second: x, y in cells; the second is out of the first one's neighbourhood.
        score, rival: how high they are.
        alike: the second is a look-alike worth learning.
        equal: it is as good as the first.
        lost: the first is too low for the target.
    """

    first: Int[Array, "2"]
    second: Int[Array, "2"]
    score: Float[Array, ""]
    rival: Float[Array, ""]
    alike: Bool[Array, ""]
    equal: Bool[Array, ""]
    lost: Bool[Array, ""]


def locate(
    scores: Float[Array, "h w"],
    previous: Float[Array, "2"],
    density: Float[Array, ""],
    last: Last,
    config: LocalizationConfig,
) -> Location:
    """Finds the target among the peaks of a score map.

    Args:
        scores: the response to the target filter.
        previous: x, y of the target's last position on the map, in cells.
        density: cells of the map in a frame pixel.
        last: what is known from the last frame.
        config: thresholds.
    """
    peaks = _peaks(scores, last.size * density, config)
    switch, trust = _by_height(peaks, previous, config.displacement * scores.size**0.5 / 2)
    hidden = jnp.zeros((), bool)
    if config.follow_look_alikes:
        was = previous + (last.look_alike.position - last.center) * density
        hidden = _is_hidden(peaks, previous, was)
        hidden &= last.look_alike.hides < config.most_hidden
        switch, trust = _by_place(peaks, previous, was, switch, trust)
    trust = jnp.where(hidden | peaks.lost, Trust.NOT_FOUND, trust)
    peak = jnp.where(switch, peaks.second, peaks.first)
    other = jnp.where(switch, peaks.first, peaks.second)
    other = jnp.where(hidden, peaks.first, jnp.where(peaks.alike, other, jnp.nan))
    score = jnp.where(switch, peaks.rival, peaks.score)
    return Location(
        peak + sub_cell(scores, peak),
        jnp.where(hidden, _at(scores, previous), score),
        trust,
        LookAlike(
            last.center + (other - previous) / density,
            jnp.where(hidden, last.look_alike.hides + 1, 0),
        ),
    )


def _peaks(
    scores: Float[Array, "h w"], target_size: Float[Array, "2"], config: LocalizationConfig
) -> Peaks:
    height, width = scores.shape
    first, score = highest(scores)
    cells = jnp.stack(jnp.meshgrid(jnp.arange(width), jnp.arange(height)), axis=-1)
    near = jnp.all(jnp.abs(cells - first) <= config.neighborhood * target_size / 2, axis=-1)
    second, rival = highest(jnp.where(near, -jnp.inf, scores))
    alike = (rival > config.hard_negative * score) & (rival > config.lost_threshold)
    equal = rival > config.distractor * score
    return Peaks(first, second, score, rival, alike, equal, score < config.lost_threshold)


def _by_height(
    peaks: Peaks, previous: Float[Array, "2"], reach: float
) -> tuple[Bool[Array, ""], Int[Array, ""]]:
    """Whether the second peak is the target and what to trust: the published logic."""
    first_is_far = _gap(peaks.first, previous) > reach
    second_is_far = _gap(peaks.second, previous) > reach
    switch = peaks.equal & first_is_far & ~second_is_far
    trust = jnp.where(peaks.alike | peaks.equal, Trust.HARD_NEGATIVE, Trust.NORMAL)
    undecided = peaks.equal & (first_is_far == second_is_far)
    return switch, jnp.where(undecided, Trust.UNCERTAIN, trust)


def _by_place(
    peaks: Peaks,
    previous: Float[Array, "2"],
    was: Float[Array, "2"],
    switch: Bool[Array, ""],
    trust: Int[Array, ""],
) -> tuple[Bool[Array, ""], Int[Array, ""]]:
    """The same by where the target and its look-alike were.

    Two peaks where there were two are paired with them by the shorter way. Of two equal peaks where
    there was one the target is the nearer.
    """
    straight = _gap(peaks.first, previous) + _gap(peaks.second, was)
    crossed = _gap(peaks.second, previous) + _gap(peaks.first, was)
    swapped = peaks.alike & (crossed < straight)  # never where there was no look-alike: NaN
    followed = jnp.isfinite(was).all()
    nearer = _gap(peaks.second, previous) < _gap(peaks.first, previous)
    nearer &= peaks.equal & ~followed
    switch = jnp.where(peaks.alike & followed, swapped, switch | nearer)
    trust = jnp.where(nearer, Trust.UNCERTAIN, trust)
    return switch, jnp.where(swapped, Trust.HARD_NEGATIVE, trust)


def _is_hidden(
    peaks: Peaks, previous: Float[Array, "2"], was: Float[Array, "2"]
) -> Bool[Array, ""]:
    """Whether the only peak is nearer to where the look-alike was than to where the target was."""
    nearer = _gap(peaks.first, was) < _gap(peaks.first, previous)
    return nearer & ~peaks.alike & ~peaks.lost


def _at(scores: Float[Array, "h w"], position: Float[Array, "2"]) -> Float[Array, ""]:
    last = jnp.array(scores.shape[::-1]) - 1
    x, y = jnp.clip(jnp.round(position).astype(int), 0, last)
    return scores[y, x]


def _gap(a: Num[Array, "2"], b: Num[Array, "2"]) -> Float[Array, ""]:
    return jnp.linalg.norm(a - b)
