"""A full disk, a read-only folder and signals end every program in a sentence; nothing is lost.

Each happens at the first touch of the disk and in the middle of all; programs whose whole run takes
long are ended at their first. What there was is whole, and the run goes on to the
same end. The numbers go to docs/records/endings.json.
"""

import json
import os
import subprocess
import sys

import pytest

from tests.campaigns.records import ROOT, Record

ENDINGS = ("full disk", "read-only folder", "SIGTERM", "SIGINT")
RECORD = Record("endings", ("program", *ENDINGS, "wrong"))
PROGRAMS = (
    *("benchmark", "compare", "demo", "evaluate", "few_shot", "few_shot.transfer"),
    *("learned_optimizer.evaluate", "learned_optimizer.train", "overlap_quality", "pack", "plot"),
    *("presence", "render", "report", "reproduce", "sweep", "track", "train", "validate", "vot"),
    "vot_trackers",
)


@pytest.mark.campaign
def test_every_program_ends_in_a_sentence(tmp_path):
    running = subprocess.Popen(
        [sys.executable, "-m", "tests.campaigns.endings", tmp_path, *PROGRAMS],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        text=True,
    )
    wrong = {}
    for line in running.stdout:
        for program, found in json.loads(line).items():
            print(line)
            wrong[program] = {name: each["wrong"] for name, each in found.items() if each["wrong"]}
            counts = {name: each["moments"] for name, each in found.items()}
            RECORD.add(program, counts | {"wrong": sum(map(len, wrong[program].values()))})
    assert running.wait() == 0 and set(wrong) == set(PROGRAMS)
    assert not any(wrong.values())


def test_the_page_has_the_record_of_every_program():
    inside = {
        path.relative_to(ROOT / "experiments").with_suffix("").as_posix().replace("/", ".")
        for path in (ROOT / "experiments").rglob("*.py")
        if "cli.run(main, FLAGS" in path.read_text()
    }
    assert {name.removesuffix(".__main__") for name in inside} == set(PROGRAMS)
    rows = RECORD.rows()
    assert set(rows) == set(PROGRAMS)
    assert not any(row["wrong"] for row in rows.values())
    RECORD.require_on_page()
