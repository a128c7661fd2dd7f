"""What `bootstrap.py` hands to the interpreter."""

import os
import subprocess
import sys

import pytest

import bootstrap


@pytest.mark.parametrize(
    ("own", "expected"), [(None, "glibc.malloc.hugetlb=1"), ("glibc.malloc.check=1",) * 2]
)
def test_memory_comes_in_large_pages_unless_the_user_tuned_glibc(
    own, expected, monkeypatch, tmp_path
):
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if own:
        monkeypatch.setenv("GLIBC_TUNABLES", own)
    monkeypatch.setattr(bootstrap, "ENVIRONMENT", tmp_path)
    monkeypatch.setattr(bootstrap, "install", lambda: None)
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", "-c", "pass"])
    calls = []
    monkeypatch.setattr(subprocess, "call", lambda *a, **k: calls.append((a, k)) or 3)
    assert bootstrap.main() == 3
    (((command,), options),) = calls
    assert command == [bootstrap.PYTHON, "-c", "pass"]
    assert options["env"] == os.environ | {"GLIBC_TUNABLES": expected}
