"""Damaged input of every kind is read right or refused in a sentence.

The default run reads a few of each kind, always the same; `-m campaign` reads 30,000, and writes
what came of them to docs/records/damaged_inputs.json.
"""

import collections
import random
import resource

import pytest

from tests.campaigns import data_inputs, run_inputs
from tests.campaigns.inputs import GOOD, OUTCOMES, run
from tests.campaigns.records import Record

SUBJECTS = {subject.name: subject for subject in data_inputs.SUBJECTS + run_inputs.SUBJECTS}
RECORD = Record("damaged_inputs", ("input", *OUTCOMES, "seed"))
FEW = 12


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_few_damaged_inputs(tmp_path, name):
    subject = SUBJECTS[name]
    counts, bad = run(subject, tmp_path, min(FEW, subject.examples // 50))
    assert not bad, "\n".join(bad.values())
    assert set(counts) <= set(GOOD)


def test_the_campaign_is_as_long_as_it_says():
    assert sum(subject.examples for subject in SUBJECTS.values()) >= 30_000


@pytest.mark.campaign
@pytest.mark.parametrize("name", SUBJECTS)
def test_many_damaged_inputs(tmp_path, name):
    seed = random.randrange(10**6)
    counts, bad = run(SUBJECTS[name], tmp_path, SUBJECTS[name].examples, seed)
    print(name, dict(counts), "seed", seed)
    RECORD.add(name, {**{key: counts[key] for key in OUTCOMES}, "seed": seed})
    assert not bad, "\n".join(bad.values())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    assert peak < 8, f"{peak:.1f} GiB"


def test_the_page_has_the_record():
    rows = RECORD.rows()
    total = collections.Counter()
    for row in rows.values():
        total.update({key: row[key] for key in OUTCOMES})
    assert set(rows) == set(SUBJECTS)
    assert sum(total.values()) >= 30_000 and not sum(total[key] for key in OUTCOMES[2:])
    RECORD.require_on_page()
