"""Runs programs in forks of this process, which end as somebody wants where they touch the disk.

This process must compute nothing itself, so that it has no threads of JAX when it forks.
"""

import errno
import os
import signal
import sys
import traceback

from matplotlib.figure import Figure
from PIL import Image

from tests.campaigns.small_programs import PROGRAMS

_TOUCHES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT

# What happens at a touch, and whether at all later ones, too.
ENDINGS = {
    "SIGKILL": (lambda: os.kill(os.getpid(), signal.SIGKILL), False),
    "SIGTERM": (lambda: os.kill(os.getpid(), signal.SIGTERM), False),
    "SIGINT": (lambda: os.kill(os.getpid(), signal.SIGINT), False),
    "full disk": (lambda: _refuse(errno.ENOSPC), True),
    "read-only folder": (lambda: _refuse(errno.EROFS), True),
}


def _refuse(number):
    raise OSError(number, os.strerror(number))


def touches(folder, event, arguments):
    """Whether an audited event is about to change something in a folder."""
    if event == "open":
        writes = isinstance(arguments[2], int) and arguments[2] & _WRITING
    else:
        writes = event in _TOUCHES
    if not writes or not isinstance(arguments[0], str | bytes | os.PathLike):
        return False
    path = os.fsdecode(arguments[0])
    beside = str(folder.with_name(f".{folder.name}"))  # `.out.partial` of a data set to be packed
    return path.startswith((str(folder), beside))


def run(program, folder, resume, moment=None, ending="SIGKILL"):
    """Runs a program of `PROGRAMS` in a fork.

    Args:
        program: its name.
        folder: what it writes to; `log.txt` beside it gets what it says.
        resume: whether to go on with what is there.
        moment: the number of the touch, from 1, before which the ending happens; None for none.
        ending: a key of `ENDINGS`.

    Returns:
        How it ended (the exit status, or less than 0 by a signal), and its touches, 0 if killed.
    """
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        code = 70
        try:
            os.close(reading)
            count = _watched(program, folder, resume, moment, ENDINGS[ending])
            os.write(writing, str(count[0]).encode())
            code = count[1]
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        count = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), int(count or 0)


def said(folder):
    """What the last run of a program of a folder said."""
    return folder.with_name("log.txt").read_text(errors="replace")


_drawn = Figure.savefig


def _blank(figure, target, **options):
    """A figure takes half a second to draw, and is written as any other file."""
    if options["format"] == "png":
        Image.new("L", (1, 1)).save(target, "PNG")
    else:
        _drawn(figure, target, **options)


def _watched(program, folder, resume, moment, ending):
    log = os.open(folder.with_name("log.txt"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    happen, lasts = ending
    count = 0

    def watch(event, arguments):
        nonlocal count
        if touches(folder, event, arguments):
            count += 1
            if moment and (count == moment or (lasts and count > moment)):
                happen()

    Figure.savefig = _blank
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    sys.addaudithook(watch)
    status = PROGRAMS[program](folder, resume) or 0
    return count, status
