"""Programs that are killed while they write, and resumed, end as if they had never been stopped.

The default run kills two of them; `-m campaign` all, more than a hundred times, at places spread
over everything that they write, and keeps the numbers in docs/records/kills.json. What kills a
meta-training between two steps is tests/experiments/test_kill.py.
"""

import json
import os
import random
import subprocess
import sys

import pytest

from tests.campaigns.records import ROOT, Record

# How often the campaign kills each.
KILLS = {
    **{"compare": 16, "sweep": 16, "reproduce": 16, "pack": 16, "vot": 16},
    **{"few_shot": 12, "evaluate": 12, "validate": 12, "train": 12},
}
RECORD = Record("kills", ("program", "touches", "kills", "lost", "seed"))


def killed(folder, seed, **counts):
    """What `kills` finds of each program, in a process without threads."""
    given = [f"{program}={count}" for program, count in counts.items()]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.campaigns.kills", folder, str(seed), *given],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        for line in running.stdout:
            yield from json.loads(line).items()
    assert running.returncode == 0


def test_what_is_killed_while_it_writes_and_resumed_ends_as_if_it_had_not_been(tmp_path):
    found = dict(killed(tmp_path, random.randrange(10**6), pack=2, reproduce=1))
    assert [each["kills"] for each in found.values()] == [2, 1]
    assert all(each["touches"] > 10 and not each["lost"] for each in found.values())


@pytest.mark.campaign
def test_nothing_is_lost_by_a_hundred_kills(tmp_path):
    seed, everything = random.randrange(10**6), {}
    for program, found in killed(tmp_path, seed, **KILLS):
        print(program, found, "seed", seed)
        RECORD.add(program, found | {"lost": len(found["lost"]), "seed": seed})
        everything[program] = found
    assert set(everything) == set(KILLS)
    # A run may end before the last touch, of which libraries make now one more, now one less.
    assert sum(found["kills"] for found in everything.values()) >= 100
    assert not any(found["lost"] for found in everything.values())


def test_the_page_has_the_record():
    rows = RECORD.rows()
    assert set(rows) == set(KILLS)
    assert sum(row["kills"] for row in rows.values()) >= 100
    assert not any(row["lost"] for row in rows.values())
    RECORD.require_on_page()
