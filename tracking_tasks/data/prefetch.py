"""Frames decoded in a thread of their own, ahead of the computation that takes them."""

import collections
import concurrent.futures
from collections.abc import Generator

import numpy as np
from jaxtyping import UInt8

from tracking_tasks.data.sequences import Sequence

_AHEAD = 2  # frames; more would only wait in memory, for a frame is read faster than tracked


def prefetched(sequence: Sequence) -> Generator[UInt8[np.ndarray, "height width 3"]]:
    """Yields the frames of a sequence in order, and reads the next ones meanwhile.

    Raises:
        InputError: a frame cannot be read; raised when its turn comes.
    """
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = collections.deque(
            pool.submit(sequence.frame, index) for index in range(min(_AHEAD, len(sequence)))
        )
        for index in range(len(sequence)):
            frame = waiting.popleft().result()
            if index + _AHEAD < len(sequence):
                waiting.append(pool.submit(sequence.frame, index + _AHEAD))
            yield frame
