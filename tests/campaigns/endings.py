"""Ends programs by a full disk, a read-only folder or a signal, and looks what they say and leave.

    python -m tests.campaigns.endings FOLDER PROGRAM ...

Prints as JSON, by program and ending, in how many moments it happened, and what was wrong: another
status or sentence, old results that are not whole, a run that goes on and ends otherwise.
"""

import json
import pathlib
import shutil
import sys

from tests.campaigns import forks, kills
from tests.campaigns.other_programs import BEGUN

# Of each ending but SIGKILL: the exit status, and what is said once.
EXPECTED = {
    "full disk": (1, "error: [Errno 28]"),
    "read-only folder": (1, "error: [Errno 30]"),
    "SIGTERM": (130, "stopped"),
    "SIGINT": (130, "stopped"),
}


def campaign(program, root):
    """Ends a program in every way, at its first touch and in the middle of its touches."""
    moments = [1]
    if program not in BEGUN:
        expected, total = kills.whole(program, root)
        moments = sorted({1, (total + 1) // 2})
    folder = root / "ended" / "out"
    folder.parent.mkdir(parents=True)
    results = {}
    for ending in EXPECTED:
        wrong = {}
        for moment in moments:
            shutil.rmtree(folder, ignore_errors=True)
            status, _ = forks.run(program, folder, False, moment, ending)
            why = wrong_end(ending, status, forks.said(folder))
            if not why and program not in BEGUN:
                why = kills.resumed(program, folder, expected)
            if why:
                wrong[moment] = why
        results[ending] = {"moments": len(moments), "wrong": wrong}
    return results


def wrong_end(ending, status, said):
    """What is wrong with how a program ended; "" if nothing is."""
    wanted, sentence = EXPECTED[ending]
    if status == wanted and said.count(sentence) == 1 and "Traceback" not in said:
        return ""
    return f"status {status}: {said[-1500:]}"


if __name__ == "__main__":
    at, *names = sys.argv[1:]
    for name in names:
        print(json.dumps({name: campaign(name, pathlib.Path(at).resolve() / name)}), flush=True)
