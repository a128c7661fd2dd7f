"""Where compiled programs are kept, so that they are compiled once and not at every start."""

import os
import pathlib

import jax


def keep_compiled_programs() -> None:
    """Keeps what XLA compiles in the user's cache folder, unless JAX was told where to."""
    if jax.config.values["jax_compilation_cache_dir"] is None:
        root = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        jax.config.update("jax_compilation_cache_dir", str(pathlib.Path(root) / "metaopt"))
