r"""Redoes tables of the papers: trains and judges each row, and says which orderings hold.

The papers trained for days on data that has to be downloaded. Here every row is meta-trained on
rendered videos and judged on held-out ones, so the numbers differ from the papers'; what can be
compared is which row is better than which. Our column stands beside the paper's with its 95 %
interval over seeds, and each ordering of the paper holds, fails, or stays undecided by the
paired differences, with Holm's correction for the number of a table's orderings. With
--dataset_dir rows are judged on real sequences as well, or with --judge=real on nothing else; a
tracker that is the same with all seeds starts them at another frame with each, and shipped weights
are not judged on what they were trained on, which `split.json` beside the sequences names.

Examples:
    python -m experiments.reproduce --list
    python -m experiments.reproduce --table=dimp1
    python -m experiments.reproduce --table=dimp1,dimp3 --seeds=10 --output_dir=runs/more
    python -m experiments.reproduce --table=gradnet_shipped --judge=real \
        --dataset_dir=VIDEOS --dataset_dir=SEQUENCES
    python -m experiments.reproduce --plan --table=dimp1
    python -m experiments.reproduce --scoreboard
    python -m experiments.reproduce --table=all --scale=full --photos_dir=COCO --resume

Writes to the output folder:
    <table>/summary.json      the record: every trial (row, seed, target), means with intervals,
                              verdicts, the paper's numbers, command, versions, date, machine
    <table>/table.txt         the table that is printed at the end
    <table>/differences.png, scores.png    the orderings; our bars beside the paper's; curves
    <table>/run.json          seeds and targets, fixed before the first trial
    <table>/cells/, trained/  finished trials and trained trackers, not done again by --resume
    summary.txt               every ordering of every table: holds, fails, undecided
    run.json                  what the folder was made with; --resume must be given the same
"""

import dataclasses
import pathlib
import time
from collections.abc import Sequence
from typing import Any

from absl import flags
from tqdm import tqdm

from basics.compilation import let_go_of_programs
from experiments.command_line import cli, dataset_flags, shared_flags, tracker_flags
from experiments.command_line.choices import choose
from experiments.command_line.output_folder import OutputFolder
from experiments.reproduction import power, scoreboard, table_results
from experiments.reproduction.measurement import JUDGES
from experiments.reproduction.paper_table import SCALES, Row, Table
from experiments.reproduction.record import Record, run_metadata
from experiments.reproduction.table_runner import TableRunner
from experiments.reproduction.tables import load_tables
from experiments.runs import metadata, run_lock, trials

_DOCS = pathlib.Path(__file__).resolve().parents[1] / "docs"

FLAGS = flags.FlagValues()
_TABLE = flags.DEFINE_list(
    "table", None, "Which tables, separated by commas, or all; --list names them.", FLAGS
)
_LIST = flags.DEFINE_bool("list", False, "Name the tables and end.", flag_values=FLAGS)
_SCOREBOARD = flags.DEFINE_bool(
    "scoreboard",
    False,
    "Make the pages of docs/papers from the records in it, and end.",
    flag_values=FLAGS,
)
_PLAN = flags.DEFINE_bool(
    "plan",
    False,
    "Run a pilot of two seeds that do not count, and say how many seeds or targets an effect of "
    "the paper's size needs, and how long that takes.",
    flag_values=FLAGS,
)
_SCALE = flags.DEFINE_enum(
    "scale",
    "small",
    SCALES,
    "Size: smoke (says nothing), small (minutes a table on two cores), full (a GPU).",
    flag_values=FLAGS,
)
_SEEDS = flags.DEFINE_integer(
    "seeds", None, "Seeds per row; by default the table's.", 1, flag_values=FLAGS
)
_BACKBONE = tracker_flags.BackboneFlags(FLAGS)
_PHOTOS_DIR = shared_flags.photos_dir_flag(FLAGS)
_DATASET = dataset_flags.Dataset(FLAGS, several=True)
_JUDGE = flags.DEFINE_enum(
    "judge",
    None,
    JUDGES,
    "What trackers are judged on: real sequences, rendered ones or both; by default both where "
    "there are real ones.",
    flag_values=FLAGS,
)
_OUTPUT = OutputFolder(FLAGS, "runs/reproduce", resumable=True)


def main(_: Sequence[str]) -> None:
    """Runs the program."""
    tables = load_tables()
    if _SCOREBOARD.value:
        scoreboard.write(_DOCS, tables)
        print(f"written to {_DOCS / 'papers'}")
        return
    if _LIST.value:
        width = max(map(len, tables))
        for table in tables.values():
            print(f"{table.name:{width}}  {table.title} ({table.source})")
        return
    chosen = [tables[name] for name in choose(_TABLE.value or [], tables, "table")]
    folder = _OUTPUT.path
    runner = _runner(folder)
    _lock(folder, chosen)
    seeds = {table.name: _seeds(table) for table in chosen}
    folders = {table.name: folder / _name(table) for table in chosen}
    for table in chosen:
        _fix(folders[table.name], seeds[table.name], runner)
    with tqdm(total=sum(len(seeds[t.name]) * len(t.rows) for t in chosen), unit="trial") as bar:
        records = [run(t, runner, seeds[t.name], folders[t.name], bar) for t in chosen]
    if _PLAN.value:
        for table, found in zip(chosen, records, strict=True):
            print(power.plan(table, found))
        return
    for table in chosen:
        print((folders[table.name] / "table.txt").read_text())
    print(table_results.write_summary(folder, records))
    print(f"written to {folder}")


def _seeds(table: Table) -> list[int]:
    if _PLAN.value:
        return list(power.PILOT_SEEDS)
    return list(range(_SEEDS.value or table.seeds[_SCALE.value]))


def _name(table: Table) -> str:
    """Of its folder; a pilot has one of its own, so that it never counts."""
    return f"{table.name}-pilot" if _PLAN.value else table.name


def run(
    table: Table, runner: TableRunner, seeds: Sequence[int], folder: pathlib.Path, bar: tqdm
) -> Record:
    """Measures what of a table is not finished, and writes the results."""
    by_row: dict[str, list[dict[str, Any]]] = {row.name: [] for row in table.rows}
    for seed in seeds:
        for row in table.rows:
            bar.set_description(f"{table.name}, {row.name}, seed {seed}")
            result = trials.load(folder, row.name, seed)
            if result is None:
                result = _measure(table, runner, row, seed)
                trials.save(folder, row.name, seed, result)
            by_row[row.name].append(result)
            bar.update()
    facts = {
        **run_metadata(_arguments(table)),
        "versions": metadata.versions(),
        "scale": runner.scale,
        "judged_on": runner.judged_on,
        "seeds": list(seeds),
    }
    return table_results.write(folder, table, facts, by_row)


def _runner(folder: pathlib.Path) -> TableRunner:
    """Where tables are run; folders that are not there are found out now."""
    judge = _JUDGE.value or ("both" if _DATASET.given else "rendered")
    real = [] if judge == "rendered" else _DATASET.read()
    seen = _DATASET.for_training() if real else ()
    runner = TableRunner(
        _SCALE.value,
        folder,
        _PHOTOS_DIR.value,
        real,
        _BACKBONE.load(),
        _OUTPUT.resumed,
        seen,
        judge,
    )
    runner.bank("train")
    return runner


def _measure(table: Table, runner: TableRunner, row: Row, seed: int) -> dict[str, Any]:
    let_go_of_programs()  # of the trials before
    start = time.monotonic()
    measured = table.measure(runner, row, seed)
    return {
        "row": row.name,
        "seed": seed,
        **dataclasses.asdict(measured),
        "seconds": round(time.monotonic() - start, 1),
    }


def _arguments(table: Table) -> list[str]:
    """What the command line says of a table, without what says only where and when."""
    others = ("table", "output_dir", "resume")
    present = [FLAGS[name] for name in FLAGS if FLAGS[name].present and name not in others]
    return [
        f"--table={table.name}",
        *(f"--{flag.name}={v}" for flag in present for v in _all(flag)),
    ]


def _all(flag: flags.Flag) -> list[Any]:
    return list(flag.value) if isinstance(flag.value, list) else [flag.value]


def _fix(folder: pathlib.Path, seeds: list[int], runner: TableRunner) -> None:
    """Fixes a table's seeds and targets before its first trial, or fails if they were others."""
    fixed = {"seeds": seeds, "judge": runner.judged_on, "real": [one.name for one in runner.real]}
    run_lock.lock(folder, fixed, taken=(folder / "run.json").exists(), resume=True)


def _lock(folder: pathlib.Path, tables: Sequence[Table]) -> None:
    """Makes the folder ours, or fails where another run's results would be lost or mixed in."""
    configuration = {
        "scale": _SCALE.value,
        **_BACKBONE.identity,
        "photos_dir": _PHOTOS_DIR.value,
        "dataset_dir": list(map(str, _DATASET.folders())) if _DATASET.given else None,
    }
    begun = any((folder / _name(table) / "cells").exists() for table in tables)
    run_lock.lock(
        folder,
        configuration,
        taken=(folder / "run.json").exists(),
        resume=_OUTPUT.resumed or not begun,  # tables may be added
    )


if __name__ == "__main__":
    cli.run(main, FLAGS)
