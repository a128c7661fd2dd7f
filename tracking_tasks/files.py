"""Atomic writing, under the name that callers of this package know."""

from basics.files import write_atomic as write_atomic
