"""Cameras and streams: their names on each system, and the newest of what they send."""

import sys
import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

_Item = TypeVar("_Item")


def camera(number: int) -> list[str]:
    """The arguments by which ffmpeg opens the camera of that number, counted from 0."""
    if sys.platform == "darwin":
        return ["-f", "avfoundation", "-framerate", "30", "-i", str(number)]
    if sys.platform == "win32":
        return ["-f", "vfwcap", "-i", str(number)]
    return ["-f", "v4l2", "-i", f"/dev/video{number}"]


def newest(items: Iterator[_Item]) -> Iterator[_Item]:
    """Yields the newest item each time it is asked, waiting for one that was not yielded before.

    A thread takes the items as they come and forgets those that nobody was in time for; the last
    one is always yielded. What `items` raises is raised here, behind what came before.
    """
    slot = _Slot[_Item]()
    threading.Thread(target=slot.fill, args=(items,), daemon=True).start()
    try:
        while (found := slot.take()) is not None:
            yield found[0]
        if slot.error is not None:
            raise slot.error
    finally:
        slot.abandoned = True


class _Slot(Generic[_Item]):
    """Holds one item between a thread that fills it and a reader.

    Attributes:
        error: what the items ended with.
        abandoned: set by the reader when it wants no more.
    """

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.abandoned = False
        self._changed = threading.Condition()
        self._held: list[_Item] = []
        self._ended = False

    def fill(self, items: Iterator[_Item]) -> None:
        """Puts each item in the place of the one before, until there are no more."""
        try:
            for item in items:
                with self._changed:
                    self._held[:] = [item]
                    self._changed.notify()
                if self.abandoned:
                    break
        except Exception as error:
            self.error = error
        with self._changed:
            self._ended = True
            self._changed.notify()

    def take(self) -> list[_Item] | None:
        """Waits for an item, and takes it out in a list; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._held or self._ended)
            taken, self._held = self._held, []
        return taken or None
