"""Compiled programs: how fast they are made, where they are kept, when a run lets go of them."""

import functools
import gc
import os
import pathlib

import jax

_MAPPINGS = pathlib.Path("/proc/self/maps")
_MOST_MAPPINGS = 20_000
_LEAST_SECONDS = "jax_persistent_cache_min_compile_time_secs"
_LEAST_SECONDS_OF_JAX = 1.0
_keeps_traces = False


def keep_compiled_programs() -> None:
    """Keeps what XLA compiles in the user's cache folder, unless JAX was told where to.

    All of it, where JAX by itself leaves out what takes less than a second to compile, unless it
    was told another time. What a tracker's programs were traced to is kept beside it.
    """
    global _keeps_traces
    _keeps_traces = True
    if jax.config.values["jax_compilation_cache_dir"] is None:
        root = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        jax.config.update("jax_compilation_cache_dir", str(pathlib.Path(root) / "metaopt"))
    if jax.config.values[_LEAST_SECONDS] == _LEAST_SECONDS_OF_JAX:
        jax.config.update(_LEAST_SECONDS, 0.0)


def folder_of_traces() -> pathlib.Path | None:
    """Where traces are kept; None before `keep_compiled_programs`, or if JAX is to keep nothing."""
    folder = jax.config.values["jax_compilation_cache_dir"]
    kept = _keeps_traces and jax.config.values["jax_enable_compilation_cache"]
    return pathlib.Path(folder) / "traces" if kept and folder and "://" not in folder else None


def let_go_of_programs() -> None:
    """Forgets what was compiled, if it fills the process.

    Each program is a few memory mappings, of which Linux allows 65,530; a process that has more is
    killed in the middle of a compilation.
    """
    if _MAPPINGS.exists() and _MAPPINGS.read_bytes().count(b"\n") > _MOST_MAPPINGS:
        jax.clear_caches()
        gc.collect()


def quick_options(once: bool) -> dict[str, str | bool] | None:
    """Options of `jax.jit` by which a large program compiles in half to four fifths of the time.

    Args:
        once: for a program that runs once or a few times, which may be a tenth slower; without it
            it is as fast as any to a few per cent.

    Returns:
        Those that this XLA knows; None where there is none, or no CPU.
    """
    if jax.default_backend() != "cpu":
        return None
    wished: dict[str, str | bool] = {"xla_cpu_use_fusion_emitters": False}
    if once:
        wished["xla_backend_optimization_level"] = "1"
    return {name: value for name, value in wished.items() if _is_known(name, value)} or None


@functools.cache
def _is_known(name: str, value: str | bool) -> bool:
    try:
        jax.jit(lambda: 0).lower().compile(compiler_options={name: value})
    except jax.errors.JaxRuntimeError:
        return False
    return True
