"""The pages of docs/papers are what the records say, and the records what their trials say."""

import dataclasses
import json
import pathlib

import pytest

from experiments import reproduce
from experiments.reproduction import paper_page, plots, record, scoreboard
from experiments.reproduction.benchmarks import BENCHMARKS
from experiments.reproduction.items import ITEMS, PAPERS
from experiments.reproduction.tables import load_tables
from tests.experiments import programs

DOCS = pathlib.Path(__file__).parents[3] / "docs"
PAPERS_READ = scoreboard.read(DOCS, load_tables())


def test_the_pages_are_those_of_the_records():
    pages = scoreboard.pages(PAPERS_READ)
    assert pages.keys() == {path.name for path in (DOCS / "papers").glob("*.md")}
    for name, text in pages.items():
        assert (DOCS / "papers" / name).read_text() == text, "run reproduce --scoreboard"


def test_the_papers_have_41_items_and_each_has_its_command():
    assert len(ITEMS) == 41
    counts = {paper: sum(item.paper == paper for item in ITEMS) for paper in PAPERS}
    assert counts == {"DSLT": 7, "DiMP": 9, "GradNet": 9, "MetaRTT": 6, "ROAM": 10}
    assert sum(bool(item.benchmarks) for item in ITEMS) == 21
    for item in ITEMS:
        assert bool(item.benchmarks) != bool(item.tables)
        assert set(item.tables) <= PAPERS_READ.tables.keys()
    assert {each.item for each in BENCHMARKS.values()} <= {item.name for item in ITEMS}
    rows = scoreboard.pages(PAPERS_READ)["README.md"].splitlines()
    assert sum(row.startswith("| [") for row in rows) == 41


@pytest.mark.parametrize("name", PAPERS_READ.records)
def test_a_record_s_verdicts_are_those_of_its_trials(name):
    found, table = PAPERS_READ.records[name], PAPERS_READ.tables[name]
    trials = {row["name"]: [] for row in found["rows"]}
    for trial in found["trials"]:
        trials[trial["row"]].append(trial)
    assert [row.name for row in table.rows] == list(trials)
    again = record.verdicts(table, record.measured_scores(table, trials), trials)
    for before, now in zip(found["orderings"], again, strict=True):
        assert before == now | {
            key: pytest.approx(now[key], rel=1e-3, abs=1e-3)
            for key in ("difference", "p") + (("interval",) if now["interval"] else ())
        }
    assert [trial["seed"] for trial in trials[table.rows[0].name]] == found["seeds"]
    for file in plots.names(table, found, f"{name}-"):
        assert (DOCS / "papers" / "plots" / file).is_file(), file
    assert "/" not in found["machine"] and found["versions"]["revision"][-1] != "+"


def test_a_table_that_was_not_run_says_so_and_gives_its_command():
    waiting = dataclasses.replace(PAPERS_READ, records={}, notes={})
    pages = scoreboard.pages(waiting)
    orderings = sum(
        len(waiting.tables[name].orderings) for name in {n for i in ITEMS for n in i.tables}
    )
    assert (
        "**0 of 20 analyses were run, the other 21 of 41 items have their command.** "
        in (pages["README.md"])
    )
    assert f"0 holds, 0 fails, 0 undecided, {orderings} not run." in pages["README.md"]
    row = next(line for line in pages["README.md"].splitlines() if "dslt_losses" in line)
    assert "not run" in row
    assert "Not run for a record." in pages["dslt.md"]


def test_constants_of_this_project_are_those_marked_here():
    lines = paper_page.deviations("DiMP").splitlines()
    named = {line.split("`")[1] for line in lines if line.startswith("| `")}
    assert "search_factor" not in named or "here" in "".join(lines)
    assert all("here" in line for line in lines if line.startswith("| `"))
    assert len(named) > 5


def test_the_program_writes_the_pages(tmp_path, monkeypatch, capsys):
    (tmp_path / "papers" / "records").mkdir(parents=True)
    (tmp_path / "equations.toml").write_text((DOCS / "equations.toml").read_text())
    (tmp_path / "papers" / "notes.toml").write_text('[dimp1]\nearlier = "Long ago."\n')
    monkeypatch.setattr(reproduce, "_DOCS", tmp_path)
    assert not programs.run(reproduce, "--scoreboard")
    assert "*Before there were records:* Long ago." in (tmp_path / "papers/dimp.md").read_text()


def test_a_record_of_another_table_is_refused(tmp_path):
    (tmp_path / "dimp1.json").write_text(json.dumps({"table": "dimp2"}))
    with pytest.raises(record.InputError, match="name it by its table"):
        record.read_all(tmp_path)
