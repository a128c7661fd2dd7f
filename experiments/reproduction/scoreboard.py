"""The pages of `docs/papers`, made from the records: a scoreboard of all items, and a page a paper.

`docs/papers` holds
    records/<table>.json    what `experiments.reproduce` left as summary.json, of runs that count
    notes.toml              what people add: why an ordering fails, and numbers from before records
    plots/                  of the records
    README.md, <paper>.md   made by `experiments.reproduce --scoreboard`
"""

import dataclasses
import pathlib
import tomllib
from collections.abc import Mapping
from typing import Any

from basics.files import write_atomic
from experiments.reproduction import paper_page, plots, record
from experiments.reproduction.items import ITEMS, PAPERS, Item
from experiments.reproduction.measurement import REAL
from experiments.reproduction.paper_table import Table
from experiments.reproduction.record import Record
from experiments.reproduction.table_results import totals

_SHOWN_ROWS = 6  # of a table, on the scoreboard


@dataclasses.dataclass(frozen=True)
class Papers:
    """What the pages are made of.

    Attributes:
        tables: all, by name.
        records: by table, of those that were run.
        notes: of `notes.toml`, by table.
        equations: of `docs/equations.toml`, by paper.
    """

    tables: Mapping[str, Table]
    records: Mapping[str, Record]
    notes: Mapping[str, Mapping[str, str]]
    equations: Mapping[str, list[Mapping[str, Any]]]


def read(docs: pathlib.Path, tables: Mapping[str, Table]) -> Papers:
    """What lies in the folder `docs`."""
    equations = tomllib.loads((docs / "equations.toml").read_text())["equations"]
    notes = tomllib.loads((docs / "papers" / "notes.toml").read_text())
    return Papers(tables, record.read_all(docs / "papers" / "records"), notes, equations)


def pages(papers: Papers) -> dict[str, str]:
    """The text of every page by the name of its file."""
    of_papers = {
        f"{name.lower()}.md": paper_page.text(name, papers.tables, papers.records, papers.notes)
        + paper_page.deviations(name)
        + paper_page.equations(papers.equations[name])
        for name in PAPERS
    }
    return {"README.md": _scoreboard(papers), **of_papers}


def write(docs: pathlib.Path, tables: Mapping[str, Table]) -> None:
    """Writes the pages and the plots."""
    papers = read(docs, tables)
    for name, each in papers.records.items():
        plots.save_all(docs / "papers" / "plots", tables[name], each, f"{name}-")
    for name, text in pages(papers).items():
        write_atomic(docs / "papers" / name, text)


def _scoreboard(papers: Papers) -> str:
    columns = ["item", "shows", "command", "paper : ours", "verdict", "date", "cost"]
    head = f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|"
    lines = [_row(papers, item) for item in ITEMS]
    return "\n".join(
        [
            "# The papers, item by item",
            "",
            "Made by `python3 bootstrap.py -m experiments.reproduce --scoreboard` from the "
            "records beside it; every page of a paper has its tables, plots, equations, and what "
            "differs here.",
            "",
            *_totals(papers),
            "",
            head,
            *lines,
            "",
            "An ordering holds, or fails, where its paired difference is beyond chance (p below "
            "5 % after Holm's correction for the orderings of its table); otherwise it is "
            "undecided. `--table=NAME` is short for `python3 bootstrap.py -m experiments.reproduce "
            "--table=NAME`, with the flags that the paper's page gives. A comparison on a "
            "benchmark needs its data set, which is the user's to bring. On the same machine with "
            "as many threads the same command gives the same numbers, but for speeds.",
            "",
            *_own(papers),
        ]
    )


def _own(papers: Papers) -> list[str]:
    """The tables that no paper has."""
    of_items = {name for item in ITEMS for name in item.tables}
    lines = ["## Asked by this project alone", ""]
    for name, table in papers.tables.items():
        if name not in of_items:
            known, notes = papers.records.get(name), papers.notes.get(name, {})
            said = _verdict(known) if known else notes.get("earlier", "not run for a record")
            lines += [f"**{table.title}** (`--table={name}`) {said.strip()}", ""]
    return lines


def _totals(papers: Papers) -> list[str]:
    analyses = [item for item in ITEMS if not item.benchmarks]
    run = [item for item in analyses if any(name in papers.records for name in item.tables)]
    names = dict.fromkeys(name for item in analyses for name in item.tables)
    ran = [papers.records[name] for name in names if name in papers.records]
    waiting = [papers.tables[name] for name in names if name not in papers.records]
    orderings = [order for each in ran for order in each["orderings"]]
    not_run = sum(len(table.orderings) for table in waiting)
    return [
        f"**{len(run)} of {len(analyses)} analyses were run, the other {len(ITEMS) - len(analyses)}"
        f" of {len(ITEMS)} items have their command.** Orderings: {totals(orderings)}, "
        f"{not_run} not run."
    ]


def _row(papers: Papers, item: Item) -> str:
    page = f"[{item.name}]({item.paper.lower()}.md#{item.name.lower().replace(' ', '-')})"
    if item.benchmarks:
        commands = "<br>".join(f"`--paper={each.name}`" for each in item.benchmarks)
        numbers = "<br>".join(
            ", ".join(f"{score} {value:g} : -" for score, value in each.numbers.items()) or "-"
            for each in item.benchmarks
        )
        return f"| {page} | {item.what} | {commands} | {numbers} | not run: needs the data | | |"
    known = [papers.records[name] for name in item.tables if name in papers.records]
    commands = "<br>".join(f"`--table={name}`" for name in item.tables)
    if not known:
        earlier = any("earlier" in papers.notes.get(name, {}) for name in item.tables)
        word = "not run for a record; numbers from before on its page" if earlier else "not run"
        return f"| {page} | {item.what} | {commands} | | {word} | | |"
    cells = [
        "<br>".join(_numbers(each) for each in known),
        "<br>".join(f"{each['table']}: {_verdict(each)}" for each in known),
        "<br>".join(each["date"] for each in known),
        "<br>".join(f"{max(1, round(each['seconds'] / 60))} min" for each in known),
    ]
    return " | ".join([f"| {page}", item.what, commands, *cells]) + " |"


def _verdict(found: Record) -> str:
    return totals(found["orderings"]) if found["orderings"] else "drawn"


def _numbers(found: Record) -> str:
    """The first score of the first rows, the paper's beside ours."""
    score = found["scores"][0]
    shown = []
    for row in found["rows"][:_SHOWN_ROWS]:
        paper = row["paper"].get(score["name"].removeprefix(REAL))
        ours = row["ours"].get(score["name"])
        if ours is not None:
            given = "-" if paper is None else f"{paper:g}"
            shown.append(f"{row['name']} {given} : {ours['mean']:.{score['digits']}f}")
    more = [f"{len(found['rows']) - _SHOWN_ROWS} more"] if len(found["rows"]) > _SHOWN_ROWS else []
    return f"{score['label']}: {', '.join([*shown, *more])}"
