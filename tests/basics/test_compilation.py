"""A process that is full of compiled programs lets go of them, and one that is not keeps them."""

import jax
import pytest

from basics import compilation


@pytest.mark.skipif(not compilation._MAPPINGS.exists(), reason="only Linux counts mappings")
def test_programs_are_let_go_of_when_there_are_too_many_mappings(monkeypatch):
    double = jax.jit(lambda x: 2 * x)
    double(1.0)
    monkeypatch.setattr(compilation, "_MOST_MAPPINGS", 10**9)  # a long test run may have many
    compilation.let_go_of_programs()
    kept = double._cache_size()
    monkeypatch.setattr(compilation, "_MOST_MAPPINGS", 0)
    compilation.let_go_of_programs()
    assert (kept, double._cache_size()) == (1, 0)
    assert double(2.0) == 4.0
