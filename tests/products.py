"""Cases of a product, of which the default run takes a part that has every value."""

from collections.abc import Iterable
from typing import Any

import pytest


def covering(cases: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Parameters for pytest: a case without a value that none before it has is marked `full`."""
    seen: set[tuple[int, Any]] = set()
    found = []
    for case in cases:
        new = set(enumerate(case)) - seen
        found.append(pytest.param(*case, marks=() if new else pytest.mark.full))
        seen |= new
    return found


def chosen(cases: Iterable[tuple[Any, ...]], default: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Parameters for pytest: those that are not of the default run are marked `full`."""
    cases, default = list(cases), set(default)
    assert default <= set(cases), "the default run has what is no case"
    return [
        pytest.param(*case, marks=() if case in default else pytest.mark.full) for case in cases
    ]
