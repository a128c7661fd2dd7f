"""What the process does with memory that it no longer uses."""

import ctypes
import functools
import os
import sys

# Of glibc's <malloc.h>.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT = 2**28  # bytes
_LARGEST = 2**25  # bytes, the most that glibc allows


@functools.cache
def keep_freed_memory() -> None:
    """Lets the C library keep up to 256 MB that the process freed, for what it allocates next.

    Every frame's program takes some megabytes and gives them back. Where the C library returns them
    to the system, each of their pages is a fault in the next frame. Whether it does depends on what
    else was allocated. Where the environment says how memory is allocated (`MALLOC_...`,
    `GLIBC_TUNABLES`), or without glibc, nothing is changed.
    """
    told = any(name == "GLIBC_TUNABLES" or name.startswith("MALLOC_") for name in os.environ)
    if told or sys.platform != "linux":
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        library.mallopt(_MMAP_THRESHOLD, _LARGEST)
        library.mallopt(_TRIM_THRESHOLD, _KEPT)
