"""Which times of one record are slower or faster than those of another, beyond noise."""

import dataclasses
import enum
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

from basics.errors import InputError
from basics.files import parse_json, require_regular
from experiments.benchmarks.report import aligned

NOISE = 0.05  # share of a time: less is never called a difference
_MUST_AGREE = ("suite", "preset")
_Key = tuple[str, str]  # a case and a way of computing it


class Verdict(enum.StrEnum):
    """What became of a time."""

    SLOWER = "slower"
    FASTER = "faster"
    SAME = "within noise"
    GONE = "only in the first"
    NEW = "only in the second"


@dataclasses.dataclass(frozen=True)
class Time:
    """What a computation took, in milliseconds."""

    minimum: float
    median: float

    @property
    def spread(self) -> float:
        """By how much the median lies above the minimum, as a share of it."""
        return self.median / self.minimum - 1


@dataclasses.dataclass(frozen=True)
class Change:
    """One time in two records.

    Attributes:
        case: what was computed.
        way: in which way.
        before: its time in the first record, or None.
        after: likewise in the second.
    """

    case: str
    way: str
    before: Time | None
    after: Time | None

    @property
    def noise(self) -> float:
        """The share by which the minima may differ: the larger spread of both, at least `NOISE`."""
        return max(NOISE, *(time.spread for time in (self.before, self.after) if time))

    @property
    def verdict(self) -> Verdict:
        """Slower if the ratio of minima is above 1 + noise, faster if its inverse is."""
        if self.after is None:
            return Verdict.GONE
        if self.before is None:
            return Verdict.NEW
        ratio = self.after.minimum / self.before.minimum
        if ratio > 1 + self.noise:
            return Verdict.SLOWER
        return Verdict.FASTER if 1 / ratio > 1 + self.noise else Verdict.SAME


def compare(paths: Sequence[str]) -> tuple[list[Change], list[str]]:
    """The times of two records, and how the machines differed.

    Args:
        paths: two files `results.json`, or the folders that hold them.

    Returns:
        The times, in the order of the first record, then those that only the second has; and a
        sentence for each fact about the machine in which the records differ.

    Raises:
        InputError: they are not two, cannot be read, are no records of the benchmark, or are of
            different suites or sizes.
    """
    if len(paths) != 2:
        raise InputError(f"--compare={','.join(paths)}: give two records, separated by a comma")
    one, other = (_read(pathlib.Path(path)) for path in paths)
    for name in _MUST_AGREE:
        if one[name] != other[name]:
            raise InputError(
                f"the records are of different {name}s, {one[name]} and {other[name]}: compare "
                f"two of one {name}"
            )
    before, after = (dict(_times(record)) for record in (one, other))
    changes = [Change(*key, before.get(key), after.get(key)) for key in before | after]
    return changes, _unlike(one["machine"], other["machine"])


def _unlike(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return [
        f"The machines differ in {name}: {one.get(name)} and {other.get(name)}."
        for name in one | other
        if one.get(name) != other.get(name)
    ]


def table(changes: Sequence[Change]) -> str:
    """A line a time, in aligned columns."""
    rows = [["case", "way", "before, ms", "after, ms", "after / before", "noise", "verdict"]]
    for change in changes:
        ratio = ""
        if change.before and change.after:
            ratio = f"{change.after.minimum / change.before.minimum:.2f}"
        minima = [f"{time.minimum:.4g}" if time else "" for time in (change.before, change.after)]
        rows.append(
            [change.case, change.way, *minima, ratio, f"{change.noise:.0%}", change.verdict.value]
        )
    return "\n".join(
        [
            *aligned(rows),
            "",
            "Minima. The noise is the larger of both records' medians above their minima, and "
            f"{NOISE:.0%} at least.",
        ]
    )


def _read(path: pathlib.Path) -> dict[str, Any]:
    path = path / "results.json" if path.is_dir() else path
    require_regular(path)
    try:
        record = parse_json(path.read_bytes())
        if not all(isinstance(record[name], str) for name in _MUST_AGREE):
            raise TypeError
        dict(_times(record)), record["machine"].items()
    except FileNotFoundError:
        raise InputError(f"{path} is missing: give what --output_dir wrote") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is no record of experiments.benchmark") from error
    return record


def _times(record: dict[str, Any]) -> Iterator[tuple[_Key, Time]]:
    for row in record["comparisons"]:
        case = ", ".join(f"{name} {value}" for name, value in row["case"].items())
        for way, time in row["milliseconds"].items():
            minimum, median = float(time["minimum"]), float(time["median"])
            if not 0 < minimum <= median < float("inf"):
                raise ValueError(f"{minimum} and {median} are no minimum and median")
            yield (case, way), Time(minimum, median)
