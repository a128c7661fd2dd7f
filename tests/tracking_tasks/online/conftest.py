"""What the tests of fingerprints share."""

import inspect
import types

import pytest

from tracking_tasks.online import fingerprint


@pytest.fixture
def without_checks(monkeypatch, unchecked):
    """Fingerprints see functions without what checks their annotations, which tests add to all."""
    add = fingerprint.Fingerprint.add

    def seen(value):
        checked = isinstance(value, types.FunctionType) and hasattr(value, "__wrapped__")
        return inspect.unwrap(value) if checked else value

    monkeypatch.setattr(
        fingerprint.Fingerprint,
        "add",
        lambda self, value, strict=True: add(self, seen(value), strict),
    )
    monkeypatch.setattr(fingerprint, "_OWN", fingerprint._OWN | {"tests"})
