"""The page of one paper: its items with their records, its equations, and what differs here."""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from experiments.reproduction import plots, table_results
from experiments.reproduction.items import ITEMS, PAPERS, Item
from experiments.reproduction.paper_table import Table
from experiments.reproduction.record import Record
from tracking_tasks.trackers import TRACKERS

_TRACKERS = {"MetaRTT": "meta_rtt"}
_RUN = "python3 bootstrap.py -m experiments.reproduce"


def text(
    paper: str,
    tables: Mapping[str, Table],
    records: Mapping[str, Record],
    notes: Mapping[str, Mapping[str, str]],
) -> str:
    """Every item of a paper, in its order."""
    parts = [f"# {paper}", f"{PAPERS[paper]}. [All papers](README.md)"]
    shown: set[str] = set()  # one table may stand for two figures
    for item in ITEMS:
        if item.paper == paper:
            parts += [f"## {item.name}", f"{item.what[0].upper()}{item.what[1:]}."]
            parts += _benchmarks(item)
            for name in item.tables:
                if name in shown:
                    parts.append(f"See {name} above.")
                else:
                    parts += _table(tables[name], records.get(name), notes.get(name, {}))
                shown.add(name)
    return "\n\n".join(parts) + "\n\n"


def equations(found: Sequence[Mapping[str, Any]]) -> str:
    """Where each equation is in the code."""
    lines = ["## Equations", "", "| number | what | where |", "|---|---|---|"]
    for each in found:
        place = f"[{each['symbol']}](../../{each['file']})"
        lines.append(f"| {each['number']} | {each['what']} | {place} |")
    return "\n".join([*lines, ""])


def deviations(paper: str) -> str:
    """The constants that are not the paper's: those marked "here" in the tracker's config."""
    lines = [
        "## Constants of this project",
        "",
        "| constant | value | what, and why |",
        "|---|---|---|",
    ]
    config = TRACKERS[_TRACKERS.get(paper, paper.lower())].config_type()
    for name, value, what in _constants(config):
        if re.search(r"\bhere\b", what):
            lines.append(f"| `{name}` | {value} | {what.replace('|', '/')} |")
    return "\n".join([*lines, "", ""])


def _constants(config: Any) -> Iterator[tuple[str, Any, str]]:
    """Name, value and description of each plain constant, those of configs inside it after it."""
    described = _attributes(type(config).__doc__ or "")
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from (
                (f"{field.name}.{name}", each, what) for name, each, what in _constants(value)
            )
        elif field.name in described:
            yield field.name, value, described[field.name]


def _attributes(docstring: str) -> dict[str, str]:
    """What the section "Attributes" of a docstring says of each name; several may share a line."""
    section = docstring.partition("Attributes:\n")[2].partition("\n\n")[0]
    found: dict[str, str] = {}
    for entry in re.split(r"\n        (?=\S)", f"\n{section}")[1:]:
        names, _, what = entry.partition(":")
        found |= dict.fromkeys(names.split(", "), " ".join(what.split()))
    return found


def _benchmarks(item: Item) -> list[str]:
    parts = []
    for each in item.benchmarks:
        numbers = ", ".join(f"{score} {value:g}" for score, value in each.numbers.items())
        said = f"{each.method}: {numbers}" if numbers else f"{each.method}: a plot without numbers"
        parts.append(f"{said}{f'; {each.note}' if each.note else ''}. Not run: needs the data set.")
        parts.append(f"```\n{each.command}\n```")
    return parts


def _table(table: Table, found: Record | None, notes: Mapping[str, str]) -> list[str]:
    parts = [f"### {table.name}: {table.title}"]
    if found is None:
        parts += ["Not run for a record.", f"```\n{_RUN} --table={table.name}\n```"]
    else:
        parts += _record(table, found)
    parts += [notes["note"]] if "note" in notes else []
    parts += [f"*Before there were records:* {notes['earlier']}"] if "earlier" in notes else []
    return [part.strip() for part in parts]


def _record(table: Table, found: Record) -> list[str]:
    targets, seeds = found["targets"], len(found["seeds"])
    judged = [f"{targets['rendered']} rendered videos a seed"] if targets["rendered"] else []
    judged += [f"{len(targets['real'])} real targets"] if targets["real"] else []
    made = (
        f"{found['date']}, {seeds} seed(s){''.join(f', {each}' for each in judged)}, scale "
        f"{found['scale']}; {max(1, round(found['seconds'] / 60))} minutes on {found['machine']}; "
        f"jax {found['versions']['jax']}, revision {found['versions']['revision'][:10]}. "
        f"[Record](records/{table.name}.json)."
    )
    heading, *rows = table_results.cells(found)
    lines = [heading, ["---"] * len(heading), *rows]
    cells = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    parts = [made, f"```\n{found['command']}\n```", cells.replace("+-", "±")]
    if found["orderings"]:
        parts.append(_orderings(found))
    shown = plots.names(table, found, f"{table.name}-")
    return [*parts, *(f"![{table.title}](plots/{name})" for name in shown)]


def _orderings(found: Record) -> str:
    labels = {score["name"]: score["label"] for score in found["scores"]}
    lines = ["| the paper's ordering | by | ahead by | p | verdict |", "|---|---|---|---|---|"]
    for order in found["orderings"]:
        ahead = table_results.shown_difference(found, order).replace("+-", "±")
        lines.append(
            f"| {order['better']} over {order['worse']} | {labels[order['score']]} | {ahead} | "
            f"{order['p']:.2g} | {order['verdict']} |"
        )
    return "\n".join(lines)
