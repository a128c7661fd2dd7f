"""What a campaign of damaged inputs does: damages one file after another, and looks what happens.

Four things can: the input is read right, refused in a sentence, ends in a traceback, or hangs. What
is read, but holds what cannot be (a box that is NaN, a frame without a box) is nonsense.
"""

import collections
import contextlib
import os
import pathlib
import shutil
import signal
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

import hypothesis
from hypothesis import strategies as st

from basics.errors import InputError
from tests.campaigns.damage import damages

OUTCOMES = ("read right", "refused in a sentence", "nonsense", "traceback", "hang")
GOOD = OUTCOMES[:2]
_PATIENCE = 20  # seconds until reading counts as hanging
_LONGEST = 1000  # characters of a sentence


class Subject(NamedTuple):
    """A kind of input.

    Attributes:
        name: for the table.
        write: writes sound files into an empty folder; returns those to damage.
        read: reads what lies in the folder.
        sound: whether what was read can be.
        examples: how many damaged ones the long campaign has.
        refusals: what `read` may raise.
    """

    name: str
    write: Callable[[pathlib.Path], list[pathlib.Path]]
    read: Callable[[pathlib.Path], Any]
    sound: Callable[[Any], bool]
    examples: int
    refusals: tuple[type[Exception], ...] = (InputError,)


class _Hang(BaseException):
    pass


def run(subject, folder, examples, seed=None):
    """Reads so many damaged inputs.

    Args:
        subject: the kind.
        folder: an empty one.
        examples: how many.
        seed: of what is drawn; without one the same inputs each time.

    Returns:
        How often each of `OUTCOMES` came, and the first of each that is not good: its text.
    """
    files = subject.write(folder)
    whole = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    json_too = any(path.suffix == ".json" for path in files)
    counts, bad = collections.Counter(), {}

    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=seed is None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(st.sampled_from(files), damages(json_too))
    def read(path, damage):
        data = damage(whole[path])
        path.write_bytes(data)
        try:
            outcome, said = _outcome(subject, folder)
        finally:
            _restore(folder, whole)
        counts[outcome] += 1
        if outcome not in GOOD:
            bad.setdefault(outcome, f"{path.name} = {data[:300]!r}\n{said}")

    (hypothesis.seed(seed)(read) if seed is not None else read)()
    return counts, bad


def _outcome(subject, folder):
    """What reading came to, and the text of what was raised."""
    try:
        with _patience():
            found = subject.read(folder)
    except _Hang:
        return "hang", ""
    except subject.refusals as error:
        said = str(error)
        plain = len(said.replace(str(folder), "")) <= _LONGEST
        return ("refused in a sentence" if plain else "traceback"), said
    except Exception:
        return "traceback", traceback.format_exc()
    return ("read right" if subject.sound(found) else "nonsense"), repr(found)[:500]


@contextlib.contextmanager
def _patience():
    def end(*_):
        raise _Hang

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(_PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _restore(folder, whole):
    """Puts every file back as it was, and takes away what is new."""
    for path, data in whole.items():
        if not path.is_file() or path.stat().st_size != len(data) or path.read_bytes() != data:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    for path in [path for path in folder.rglob("*") if path not in whole]:
        if path.is_file():
            os.unlink(path)
        elif path.is_dir() and not any(path in kept.parents for kept in whole):
            shutil.rmtree(path, ignore_errors=True)
