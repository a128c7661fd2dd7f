"""Kills programs where they touch the disk, resumes them, and compares with whole runs.

    python -m tests.campaigns.kills FOLDER SEED PROGRAM=COUNT ...

Prints as JSON, by program, how often a whole run touches its folder, how many runs were killed
there (by SIGKILL, as the operating system kills), and for which touches something was lost.
"""

import itertools
import json
import pathlib
import random
import shutil
import signal
import sys
import traceback

from basics import tensors
from tests.campaigns import forks

_TIMES = ("seconds", "minutes", "fps", "update_ms", "date", "host", "versions", "command")
_OF_LIBRARIES = ("state", "events")  # by Orbax and TensorBoard; what counts of them is compared


def found(folder):
    """What lies in a folder by path, without times; raises if a file is not whole."""
    contents = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if not path.is_file() or any(p.startswith(".") or p in _OF_LIBRARIES for p in parts):
            continue
        name = "/".join(parts)
        if path.suffix == ".json":
            contents[name] = _timeless(json.loads(path.read_bytes()))
        elif path.suffix == ".safetensors":
            contents[name] = {k: v.tolist() for k, v in tensors.read(path).items()}
        elif path.suffix != ".value" and name not in ("table.txt", "flags.txt"):
            contents[name] = b"" if parts[0] == "times" else path.read_bytes()
    return contents


def _timeless(value):
    if isinstance(value, dict):
        return {k: _timeless(v) for k, v in value.items() if k not in _TIMES}
    return [_timeless(item) for item in value] if isinstance(value, list) else value


def whole(program, root):
    """What a run that nothing stops leaves, and how often it touches the disk."""
    folder = root / "whole" / "out"
    folder.parent.mkdir(parents=True, exist_ok=True)
    status, total = forks.run(program, folder, resume=False)
    if status:
        raise SystemExit(f"{program}: {forks.said(folder)[-2000:]}")
    return found(folder), total


def resumed(program, folder, expected):
    """What is other than expected after a run goes on; "" if nothing is."""
    try:
        if folder.exists():
            found(folder)
        status, _ = forks.run(program, folder, resume=True)
        now = found(folder) if not status else {}
        differing = sorted(k for k in expected | now if expected.get(k) != now.get(k))
        return forks.said(folder)[-500:] if status else ", ".join(differing)
    except Exception:
        return traceback.format_exc()


def campaign(program, root, count, seed):
    """Kills and resumes so many runs."""
    expected, total = whole(program, root)
    folder = root / "killed" / "out"
    folder.parent.mkdir()
    dice, lost, killed = random.Random(seed), {}, 0
    edges = [1 + total * index // count for index in range(count + 1)]
    for low, high in itertools.pairwise(edges):
        moment = dice.randrange(low, max(high, low + 1))
        shutil.rmtree(folder, ignore_errors=True)
        killed += forks.run(program, folder, False, moment)[0] == -signal.SIGKILL
        if why := resumed(program, folder, expected):
            lost[moment] = why
    return {"touches": total, "kills": killed, "lost": lost}


if __name__ == "__main__":
    at, seed, *counts = sys.argv[1:]
    for program, kills in (text.split("=") for text in counts):
        result = campaign(program, pathlib.Path(at).resolve() / program, int(kills), int(seed))
        print(json.dumps({program: result}), flush=True)
