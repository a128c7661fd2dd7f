import dataclasses
from typing import Literal

import pytest
from absl import flags

from experiments.command_line import cli
from experiments.command_line.config_flags import ConfigFlags, attribute_meanings
from tracking_tasks.trackers import TRACKERS


@dataclasses.dataclass(frozen=True)
class Inner:
    """A part.

    Attributes:
        rate: how fast.
    """

    rate: float = 0.5


@dataclasses.dataclass(frozen=True)
class Outer:
    """Something.

    Attributes:
        steps: how many
            at most.
        low, high: of a range.
        kind: which.
        scales: factors.
        limit: none by default.
        inner: a part.
    """

    steps: int = 3
    low: float = 0.0
    high: float = 1.0
    kind: Literal["a", "b"] = "a"
    scales: tuple[float, ...] = (0.5, 2.0)
    limit: float | None = None
    inner: Inner = Inner()


def given(*arguments):
    registry = flags.FlagValues()
    found = ConfigFlags(registry, "outer", Outer())
    registry(["program", *arguments])
    return found, registry


def test_nothing_given_changes_nothing():
    config = Outer(steps=7, inner=Inner(0.1))
    assert given()[0].apply(config) == config


def test_what_is_given_replaces_what_was_there():
    values = ("steps=4", "high=2", "kind=b", "scales=(1,2.5)", "limit=3", "inner.rate=1e-3")
    found, _ = given(*(f"--outer.{value}" for value in values))
    expected = Outer(4, 0.25, 2.0, "b", (1.0, 2.5), 3.0, Inner(1e-3))
    assert found.apply(Outer(low=0.25)) == expected


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--outer.steps=2.5", "must be int, not '2.5'"),
        ("--outer.kind=c", "must be one of a, b, not 'c'"),
        ("--outer.limit=x", "must be float or None, not 'x'"),
        ("--outer.scales=(1,'x')", "must be tuple[float, ...]"),
        ("--outer.scales=__import__('os')", "must be tuple[float, ...]"),
    ],
)
def test_a_wrong_value_is_named_with_what_it_must_be(argument, message):
    with pytest.raises(flags.IllegalFlagValueError) as error:
        given(argument)
    assert message in str(error.value)


def test_a_flag_file_gives_the_same(tmp_path):
    found, registry = given("--outer.kind=b", "--outer.scales=(1,2)", "--outer.inner.rate=0.1")
    (tmp_path / "flags").write_text(registry.flags_into_string())
    again, _ = given(f"--flagfile={tmp_path / 'flags'}")
    assert again.apply(Outer()) == found.apply(Outer())


def test_help_shows_meaning_and_default():
    assert attribute_meanings(Outer)["steps"] == "how many at most."
    assert attribute_meanings(Outer)["high"] == "of a range."

    class Special(Outer):
        """A kind of it.

        Attributes:
            high: at most 2.
        """

    class Silent(Special):
        pass

    for cls in (Special, Silent):
        assert attribute_meanings(cls)["steps"] == "how many at most."
        assert attribute_meanings(cls)["high"] == "at most 2."
    text = cli._describe(given()[1], ["--helpfull"])
    assert "--outer.steps: how many at most. (default: '3')" in text
    assert "--outer.inner.rate: how fast. (default: '0.5')" in text


@pytest.mark.parametrize("tracker", TRACKERS)
def test_every_constant_of_a_tracker_has_a_meaning(tracker):
    registry = flags.FlagValues()
    ConfigFlags(registry, tracker, TRACKERS[tracker].config_type())
    assert [name for name in registry if name != "flagfile" and not registry[name].help] == []
