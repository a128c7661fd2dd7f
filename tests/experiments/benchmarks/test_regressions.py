"""Two records of a benchmark, compared: what got slower, what faster, what is noise."""

import json

import pytest

from experiments import benchmark
from experiments.benchmarks import regressions
from experiments.benchmarks.regressions import Verdict
from tests.experiments.programs import error_line, run

MACHINE = {"cpu_count": 2, "jax": "0.10.2"}


def record(path, times, **changes):
    """Writes a record of the suite that would be called roam; times in ms by case and way."""
    rows = [
        {
            "case": {"steps": steps},
            "milliseconds": {
                way: {"minimum": minimum, "median": median}
                for way, (minimum, median) in ways.items()
            },
        }
        for steps, ways in times.items()
    ]
    whole = {"suite": "roam", "preset": "full", "machine": MACHINE, "comparisons": rows} | changes
    path.mkdir(exist_ok=True)
    (path / "results.json").write_text(json.dumps(whole))
    return str(path)


def verdict(tmp_path, before, after):
    paths = [
        record(tmp_path / name, {1: {"ours": times}})
        for name, times in (("before", before), ("after", after))
    ]
    (change,), _ = regressions.compare(paths)
    return change.verdict


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((10.0, 10.1), (10.6, 10.7), Verdict.SLOWER),  # the noise is 5 %
        ((10.0, 10.1), (10.4, 10.5), Verdict.SAME),
        ((10.6, 10.7), (10.0, 10.1), Verdict.FASTER),
        ((10.4, 10.5), (10.0, 10.1), Verdict.SAME),
        ((10.0, 13.0), (12.9, 13.0), Verdict.SAME),  # 30 %, of the first
        ((10.0, 13.0), (13.1, 13.2), Verdict.SLOWER),
        ((10.0, 10.1), (12.0, 15.6), Verdict.SAME),  # 30 %, of the second
        ((13.1, 13.2), (10.0, 13.0), Verdict.FASTER),
    ],
)
def test_a_difference_is_one_beyond_the_noise(tmp_path, before, after, expected):
    assert verdict(tmp_path, before, after) == expected


def test_rows_of_one_record_alone_are_said_and_are_no_difference(tmp_path, capsys):
    one = record(tmp_path / "1", {1: {"ours": (1, 1), "old": (2, 2)}, 2: {"ours": (3, 3)}})
    other = record(tmp_path / "2", {1: {"ours": (1, 1), "new": (9, 9)}})
    found = {(c.case, c.way): c.verdict for c in regressions.compare([one, other])[0]}
    assert found == {
        ("steps 1", "ours"): Verdict.SAME,
        ("steps 1", "old"): Verdict.GONE,
        ("steps 2", "ours"): Verdict.GONE,
        ("steps 1", "new"): Verdict.NEW,
    }
    assert not run(benchmark, f"--compare={one},{other}")


def test_the_program_prints_a_table_and_ends_with_3_if_anything_got_slower(tmp_path, capsys):
    slow = {"quick": (1, 1), "slow": (30, 30)}
    one = record(tmp_path / "1", {5: slow | {"slow": (20, 20)}})
    other = record(tmp_path / "2", {5: slow}, machine=MACHINE | {"jax": "0.11.0"})
    assert run(benchmark, f"--compare={one},{other}/results.json") == 3
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "The machines differ in jax: 0.10.2 and 0.11.0."
    assert " ".join(lines[2].split()) == "steps 5 quick 1 1 1.00 5% within noise"
    assert " ".join(lines[3].split()) == "steps 5 slow 20 30 1.50 5% slower"
    assert not run(benchmark, f"--compare={other},{one}")
    assert "faster" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"suite": "online"}, "different suites, roam and online"),
        ({"preset": "smoke"}, "different presets, full and smoke"),
        ({"comparisons": [{"case": {}}]}, "no record of experiments.benchmark"),
        ({"machine": None}, "no record of experiments.benchmark"),
        ({"suite": None}, "no record of experiments.benchmark"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(tmp_path, capsys, changes, said):
    one = record(tmp_path / "1", {1: {"ours": (1, 1)}})
    other = record(tmp_path / "2", {1: {"ours": (1, 1)}}, **changes)
    assert run(benchmark, f"--compare={one},{other}") == 1
    assert said in error_line(capsys)


@pytest.mark.parametrize("times", [(0, 1), (2, 1), (1, float("inf")), (float("nan"), 1)])
def test_times_that_can_be_none_are_no_record(tmp_path, capsys, times):
    one = record(tmp_path / "1", {1: {"ours": times}})
    assert run(benchmark, f"--compare={one},{one}") == 1
    assert "no record" in error_line(capsys)


def test_two_records_that_exist_are_asked_for(tmp_path, capsys):
    one = record(tmp_path / "1", {1: {"ours": (1, 1)}})
    assert run(benchmark, f"--compare={one}") == 1
    assert "give two records" in error_line(capsys)
    assert run(benchmark, f"--compare={one},{tmp_path / 'nowhere'}") == 1
    assert "is missing" in error_line(capsys)
