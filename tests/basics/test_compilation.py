"""A process that is full of compiled programs lets go of them, and one that is not keeps them."""

import jax
import pytest

from basics import compilation


@pytest.mark.skipif(not compilation._MAPPINGS.exists(), reason="only Linux counts mappings")
def test_programs_are_let_go_of_when_there_are_too_many_mappings(monkeypatch):
    cleared = []  # not of what the tests that follow share
    monkeypatch.setattr(jax, "clear_caches", lambda: cleared.append("all"))
    monkeypatch.setattr(compilation, "_MOST_MAPPINGS", 10**9)  # a long test run may have many
    compilation.let_go_of_programs()
    assert not cleared
    monkeypatch.setattr(compilation, "_MOST_MAPPINGS", 0)
    compilation.let_go_of_programs()
    assert cleared == ["all"]


@pytest.mark.parametrize(("told", "kept_from"), [(1.0, 0.0), (0.2, 0.2)])
def test_programs_that_compile_quickly_are_kept_too_unless_jax_was_told_otherwise(told, kept_from):
    least, folder = compilation._LEAST_SECONDS, jax.config.values["jax_compilation_cache_dir"]
    before = jax.config.values[least]
    try:
        jax.config.update(least, told)
        compilation.keep_compiled_programs()
        assert jax.config.values[least] == kept_from
        assert jax.config.values["jax_compilation_cache_dir"] == folder
    finally:
        jax.config.update(least, before)


def test_options_that_xla_does_not_know_are_left_out(monkeypatch):
    assert compilation._is_known("xla_backend_optimization_level", "1")
    assert not compilation._is_known("xla_cpu_no_such_option", True)
    monkeypatch.setattr(compilation, "_is_known", lambda name, value: "level" in name)
    assert compilation.quick_options(once=True) == {"xla_backend_optimization_level": "1"}
    assert compilation.quick_options(once=False) is None


def test_only_a_program_of_one_run_is_optimized_less():
    level = "xla_backend_optimization_level"
    assert level in compilation.quick_options(once=True)
    assert level not in (compilation.quick_options(once=False) or {})


def test_no_option_of_a_cpu_is_given_to_another_backend(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert compilation.quick_options(once=True) is None
