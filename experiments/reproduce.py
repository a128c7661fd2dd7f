r"""Redoes tables of the papers: trains and judges each row, and says which orderings hold.

The papers trained for days on data that has to be downloaded. Here every row is meta-trained on
rendered videos and judged on held-out ones, so the numbers differ from the papers'; what can be
compared is which row is better than which. Our column stands beside the paper's with its 95 %
interval over seeds, and each ordering of the paper holds, does not hold, or stays undecided by the
differences paired by seed. With --dataset_dir rows are judged on real sequences as well; a shipped
tracker, which is the same with all seeds, starts them at another frame with each.

Examples:
    python -m experiments.reproduce --list
    python -m experiments.reproduce --table=dimp1
    python -m experiments.reproduce --table=dimp1,dimp3 --seeds=10 --output_dir=runs/more
    python -m experiments.reproduce --table=all --scale=full --photos_dir=COCO --resume

Writes to the output folder:
    <table>/results.json      every trial (row and seed), means with intervals, and verdicts
    <table>/table.txt         the table that is printed at the end
    <table>/scores.png        our bars beside the paper's; other plots where a table has them
    <table>/cells/, trained/  finished trials and trained trackers, not done again by --resume
    summary.txt, summary.json every ordering of every table: holds, does not hold, undecided
    run.json                  what the folder was made with; --resume must be given the same
"""

import pathlib
import time
from collections.abc import Sequence
from typing import Any

import jax
from absl import flags
from tqdm import tqdm

from basics.compilation import let_go_of_programs
from experiments.command_line import cli, dataset_flags, shared_flags, tracker_flags
from experiments.command_line.choices import choose
from experiments.command_line.output_folder import OutputFolder
from experiments.reproduction import table_results
from experiments.reproduction.paper_table import SCALES, Row, Table
from experiments.reproduction.table_runner import TableRunner
from experiments.reproduction.tables import load_tables
from experiments.runs import run_lock, trials

FLAGS = flags.FlagValues()
_TABLE = flags.DEFINE_list(
    "table", None, "Which tables, separated by commas, or all; --list names them.", FLAGS
)
_LIST = flags.DEFINE_bool("list", False, "Name the tables and end.", flag_values=FLAGS)
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
_DATASET = dataset_flags.Dataset(FLAGS)
_OUTPUT = OutputFolder(FLAGS, "runs/reproduce", resumable=True)


def main(_: Sequence[str]) -> None:
    """Runs the program."""
    tables = load_tables()
    if _LIST.value:
        width = max(map(len, tables))
        for table in tables.values():
            print(f"{table.name:{width}}  {table.title} ({table.source})")
        return
    chosen = [tables[name] for name in choose(_TABLE.value or [], tables, "table")]
    folder = _OUTPUT.path
    real = _DATASET.read() if _DATASET.given else []
    runner = TableRunner(
        _SCALE.value, folder, _PHOTOS_DIR.value, real, _BACKBONE.load(), _OUTPUT.resumed
    )
    runner.bank("train")  # a folder without photographs is found out now
    _lock(folder, chosen)
    seeds = {table.name: _SEEDS.value or table.seeds[_SCALE.value] for table in chosen}
    with tqdm(total=sum(seeds[t.name] * len(t.rows) for t in chosen), unit="trial") as bar:
        documents = [run(t, runner, seeds[t.name], folder / t.name, bar) for t in chosen]
    for table in chosen:
        print((folder / table.name / "table.txt").read_text())
    print(table_results.write_summary(folder, documents))
    print(f"written to {folder}")


def run(
    table: Table, runner: TableRunner, seeds: int, folder: pathlib.Path, bar: tqdm
) -> dict[str, Any]:
    """Measures what of a table is not finished, and writes the results."""
    by_row: dict[str, list[dict[str, Any]]] = {row.name: [] for row in table.rows}
    for seed in range(seeds):
        for row in table.rows:
            bar.set_description(f"{table.name}, {row.name}, seed {seed}")
            result = trials.load(folder, row.name, seed)
            if result is None:
                result = _measure(table, runner, row, seed)
                trials.save(folder, row.name, seed, result)
            by_row[row.name].append(result)
            bar.update()
    metadata = {
        "scale": runner.scale,
        "seeds": seeds,
        "versions": {"jax": jax.__version__, "platform": jax.default_backend()},
    }
    return table_results.write(folder, table, metadata, by_row)


def _measure(table: Table, runner: TableRunner, row: Row, seed: int) -> dict[str, Any]:
    let_go_of_programs()  # of the trials before
    start = time.monotonic()
    measured = table.measure(runner, row, seed)
    return {
        "row": row.name,
        "seed": seed,
        "scores": dict(measured.scores),
        "curves": dict(measured.curves),
        "seconds": round(time.monotonic() - start, 1),
    }


def _lock(folder: pathlib.Path, tables: Sequence[Table]) -> None:
    """Makes the folder ours, or fails where another run's results would be lost or mixed in."""
    configuration = {
        "scale": _SCALE.value,
        **_BACKBONE.identity,
        "photos_dir": _PHOTOS_DIR.value,
        "dataset_dir": str(_DATASET.folder()) if _DATASET.given else None,
    }
    begun = any((folder / table.name / "cells").exists() for table in tables)
    run_lock.lock(
        folder,
        configuration,
        taken=(folder / "run.json").exists(),
        resume=_OUTPUT.resumed or not begun,  # tables may be added
    )


if __name__ == "__main__":
    cli.run(main, FLAGS)
