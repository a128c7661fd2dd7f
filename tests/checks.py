"""Checks of annotations that are made when they are first needed."""

import functools
from collections.abc import Callable
from typing import Any

import beartype


def once_called(function: Callable[..., Any]) -> Callable[..., Any]:
    """`beartype.beartype`, which takes longer than an import, at the function's first call."""
    checked = functools.cache(lambda: beartype.beartype(function))
    return lambda *args, **kwargs: checked()(*args, **kwargs)
