"""The reproduction of a table whose cells are made up: verdicts, resuming, files, bad input."""

import dataclasses
import datetime
import json
import math
import pathlib
import socket

import jax
import pytest
from PIL import Image

from experiments import reproduce
from experiments.meta_training import runner as runner_lib
from experiments.reproduction import paper_table
from experiments.reproduction.measurement import Measurement
from experiments.reproduction.paper_table import Curve, Ordering, Row, Score, Table
from experiments.reproduction.tables import load_tables
from experiments.runs import trials
from tests.experiments import programs
from tests.products import chosen
from tracking_tasks.data.photos import load_bank

# By row and seed; the differences of b - a are 0.1, 0.2, 0.3, those of c - b scatter around zero.
SHARES = {"a": [0.1, 0.2, 0.3], "+b": [0.2, 0.4, 0.6], "c d": [0.3, 0.1, 0.8]}


def measure(runner, row, seed):
    share = SHARES[row.name][seed]
    curves = {"loss": ([0, 1], [share, share / 2]), "counts": ([0, 1, 2], [seed, 1])}
    return Measurement({"auc": share, "error": 1 - share}, curves)


MADE_UP = Table(
    name="made_up",
    title="Which is best?",
    source="Nobody 1900, Table 1",
    rows=(Row("a", {"auc": 50.0}), Row("+b", {"auc": 60.0, "error": 3.0}), Row("c d")),
    orderings=(Ordering("+b", "a"), Ordering("a", "+b", "error"), Ordering("c d", "+b")),
    seeds={"smoke": 3, "small": 3, "full": 3},
    measure=measure,
    scores=(paper_table.AUC, Score("error", "error", higher_is_better=False, digits=4)),
    curves=(Curve("loss", "step", "loss"), Curve("counts", "value", "count", histogram=True)),
)


def run(folder, *more):
    return programs.run(reproduce, "--table=made_up", f"--output_dir={folder}", *more)


@pytest.fixture(autouse=True)
def only_the_made_up_table(monkeypatch):
    monkeypatch.setattr(reproduce, "load_tables", lambda: {"made_up": MADE_UP})
    monkeypatch.setattr(
        runner_lib, "load_bank", lambda folder, split: folder and load_bank(folder, split)
    )


@pytest.fixture
def finished(tmp_path):
    assert not run(tmp_path)
    return tmp_path / "made_up"


def test_means_intervals_and_verdicts(finished):
    results = json.loads((finished / "summary.json").read_text())
    rows = {row["name"]: row for row in results["rows"]}
    assert [row["paper"] for row in results["rows"]] == [{"auc": 50}, {"auc": 60, "error": 3}, {}]
    # Student's t at two degrees of freedom, the standard deviation is 10 %.
    assert rows["a"]["ours"]["auc"] == pytest.approx(
        {"mean": 20.0, "interval": 4.302652730 * 10 / 3**0.5}
    )
    up, down, scattered = results["orderings"]
    assert up["verdict"] == down["verdict"] == scattered["verdict"] == "undecided"
    assert (up["difference"], up["interval"]) == pytest.approx((20.0, 24.841377))
    assert up["p"] == pytest.approx(3 * 0.07417990)  # the smallest of three, by Holm
    assert down["difference"] == pytest.approx(-0.2)
    assert [(trial["row"], trial["seed"]) for trial in results["trials"]][:4] == [
        ("a", 0), ("a", 1), ("a", 2), ("+b", 0)
    ]  # fmt: skip


def test_the_record_says_how_it_was_made_and_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(runner_lib, "load_bank", lambda *_: None)
    photos = tmp_path / "photos"
    assert not run(tmp_path / "out", "--seeds=2", f"--photos_dir={photos}")
    text = (tmp_path / "out" / "made_up" / "summary.json").read_text()
    results = json.loads(text)
    command = "python3 bootstrap.py -m experiments.reproduce --table=made_up "
    assert results["command"].startswith(command)
    assert set(results["command"].removeprefix(command).split()) == {
        "--seeds=2", "--photos_dir=PHOTOS"
    }  # fmt: skip
    assert results["seeds"] == [0, 1] and results["judged_on"] == "rendered"
    assert results["versions"]["jax"] == jax.__version__ and "revision" in results["versions"]
    assert datetime.date.fromisoformat(results["date"])
    assert str(tmp_path) not in text and socket.gethostname() not in results["machine"]


def test_seeds_are_fixed_before_the_first_trial(tmp_path, capsys):
    assert not run(tmp_path, "--seeds=2")
    assert run(tmp_path, "--seeds=3", "--resume") == 1
    assert "made with seeds [0, 1], not [0, 1, 2]" in programs.error_line(capsys)


def test_the_text_shows_both_columns_and_the_verdicts(finished):
    lines = (finished / "table.txt").read_text().splitlines()
    assert lines[0] == "made_up: Which is best? (Nobody 1900, Table 1)"
    assert lines[2].split() == ["a", "50", "20.00", "+-", "24.84", "-", "0.8000", "+-", "0.2484"]
    assert lines[4].split()[:4] == ["c", "d", "-", "40.00"]
    assert lines[5].endswith("by 20.00 +- 24.84: undecided (p 0.22)")


def test_the_summary_has_every_ordering(finished):
    lines = (finished.parent / "summary.txt").read_text().splitlines()
    assert lines[0] == "The papers' orderings: 0 holds, 0 fails, 3 undecided"
    assert lines[1].split()[:6] == ["made_up", "undecided", "+b", "better", "than", "a,"]


@pytest.mark.figures
@pytest.mark.parametrize(
    ("name",), chosen(zip(("differences", "scores", "loss", "counts")), [("scores",)])
)
def test_plots_are_pictures(finished, name):
    with Image.open(finished / f"{name}.png") as picture:
        assert picture.width > 400 and len(picture.getcolors(1 << 24)) > 20


@pytest.mark.parametrize(
    ("shares", "verdict"),
    [
        ([0.2, 0.31, 0.4], "holds"),
        ([0.0, 0.09, 0.2], "fails"),
        ([0.2, 0.1, 0.4], "undecided"),
        ([0.2], "undecided"),
        ([0.2, math.nan, 0.4], "undecided"),
    ],
)
def test_an_ordering_holds_beyond_its_paired_interval(tmp_path, monkeypatch, shares, verdict):
    monkeypatch.setitem(SHARES, "+b", shares)
    run(tmp_path, f"--seeds={len(shares)}")
    results = json.loads((tmp_path / "made_up" / "summary.json").read_text())
    by_auc, by_error, _ = results["orderings"]
    reverse = {"holds": "fails", "fails": "holds", "undecided": "undecided"}
    assert (by_auc["verdict"], by_error["verdict"]) == (verdict, reverse[verdict])


def test_real_sequences_are_judged_beside_the_rendered(tmp_path, monkeypatch):
    def with_real(runner, row, seed):
        measured = measure(runner, row, seed)
        scores = measured.scores | {"real_auc": 0.5 + 0.1 * seed * (row.name == "+b")}
        return dataclasses.replace(measured, scores=scores)

    table = dataclasses.replace(MADE_UP, measure=with_real)
    monkeypatch.setattr(reproduce, "load_tables", lambda: {"made_up": table})
    run(tmp_path)
    results = json.loads((tmp_path / "made_up" / "summary.json").read_text())
    assert results["rows"][1]["ours"]["real_auc"]["mean"] == pytest.approx(60)
    claims = [(o["better"], o["score"]) for o in results["orderings"]]
    assert claims == [
        ("+b", "auc"), ("+b", "real_auc"), ("a", "error"), ("c d", "auc"), ("c d", "real_auc")
    ]  # fmt: skip


def test_resume_redoes_only_what_is_missing(finished, monkeypatch):
    before = json.loads((finished / "summary.json").read_text())
    (finished / "cells" / "c_d-1.json").unlink()
    redone = []

    def count(runner, row, seed):
        redone.append((row.name, seed))
        return measure(runner, row, seed)

    table = dataclasses.replace(MADE_UP, measure=count)
    monkeypatch.setattr(reproduce, "load_tables", lambda: {"made_up": table})
    assert not run(finished.parent, "--resume")
    assert redone == [("c d", 1)]
    after = json.loads((finished / "summary.json").read_text())
    assert after["rows"] == before["rows"] and after["orderings"] == before["orderings"]


def test_a_folder_with_a_run_is_neither_overwritten_nor_mixed_with_another(finished, capsys):
    assert run(finished.parent) == 1
    assert "--resume" in programs.error_line(capsys)
    assert run(finished.parent, "--resume", "--scale=full") == 1
    assert "was made with scale small, not full" in programs.error_line(capsys)


def test_a_damaged_cell_is_one_line(finished, capsys):
    (finished / "cells" / "a-0.json").write_text('{"row": ')
    assert run(finished.parent, "--resume") == 1
    assert "delete it" in programs.error_line(capsys)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--table=dimp9", "dimp9"),
        ("--table=", "known are made_up"),
        ("--scale=huge", "huge"),
        ("--seeds=0", "seeds"),
        ("--photos_dir=absent", "absent"),
        ("--dataset_dir=absent", "absent"),
    ],
)
def test_bad_input_is_one_line(tmp_path, capsys, flag, message):
    folder = tmp_path / "out"
    assert run(folder, flag) != 0
    assert message in programs.error_line(capsys)
    assert not folder.exists()


def test_a_plan_is_from_a_pilot_of_two_other_seeds_that_does_not_count(
    tmp_path, monkeypatch, capsys
):
    drawn = []

    def pilot(runner, row, seed):
        drawn.append(seed)
        return measure(runner, row, seed % 18)

    table = dataclasses.replace(MADE_UP, measure=pilot)
    monkeypatch.setattr(reproduce, "load_tables", lambda: {"made_up": table})
    assert not run(tmp_path, "--plan")
    assert set(drawn) == {18, 19} and not (tmp_path / "made_up").exists()
    text = capsys.readouterr().out
    # Differences of 10 and 20 points deviate by 7.07; the paper's is 10.
    assert "deviation 7.07 over 2 seeds; an effect of 10.00 (the paper's)" in text
    assert not run(tmp_path)  # the run that counts starts afresh


def test_list_names_every_table(capsys):
    assert not programs.run(reproduce, "--list")
    assert capsys.readouterr().out == "made_up  Which is best? (Nobody 1900, Table 1)\n"


def test_known_tables_are_whole():
    tables = load_tables()
    assert {"dimp1", "dimp2", "dimp3", "renderer"} <= tables.keys()
    for table in tables.values():
        files = {trials._path(pathlib.Path(), row.name, 0) for row in table.rows}
        assert len(files) == len(table.rows)  # no two rows share a cell
        by_score = {score.name for score in table.scores}
        assert all(set(row.paper) <= by_score for row in table.rows)
        for ordering in table.orderings:  # as the paper's own numbers say, where it has them
            rows = {row.name: row.paper.get(ordering.score) for row in table.rows}
            score = next(s for s in table.scores if s.name == ordering.score)
            pair = rows[ordering.better], rows[ordering.worse]
            if None not in pair:
                assert (pair[0] > pair[1]) is score.higher_is_better


@pytest.mark.parametrize(
    "change", [{"orderings": (Ordering("a", "x"),)}, {"seeds": {"small": 3}},
               {"orderings": (Ordering("a", "+b", "x"),)}]
)  # fmt: skip
def test_a_table_that_contradicts_itself_is_refused(change):
    with pytest.raises(ValueError, match="made_up"):
        dataclasses.replace(MADE_UP, **change)
