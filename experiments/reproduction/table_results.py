"""What the reproduction of a table leaves behind: its record, the same as text, and plots."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from basics.files import write_atomic
from experiments.analysis.statistics import show
from experiments.reproduction import plots, record
from experiments.reproduction.measurement import REAL
from experiments.reproduction.paper_table import Table
from experiments.reproduction.record import Record


def write(
    folder: pathlib.Path, table: Table, metadata: Mapping[str, Any], trials: record.Trials
) -> Record:
    """Writes the plots and the text, and `summary.json` last; returns what that holds."""
    found = record.make(table, metadata, trials)
    plots.save_all(folder, table, found)
    write_atomic(folder / "table.txt", text(found) + "\n")
    record.write(folder / "summary.json", found)
    return found


def write_summary(folder: pathlib.Path, records: Sequence[Record]) -> str:
    """Writes `summary.txt`, every ordering of every table; returns the text."""
    claims = [(each, order) for each in records for order in each["orderings"]]
    lines = [
        f"{each['table']:16}  {order['verdict']:9}  {order['better']} better than "
        f"{order['worse']}, {order['score']}: by {shown_difference(each, order)}"
        for each, order in claims
    ]
    text = "\n".join([f"The papers' orderings: {totals([o for _, o in claims])}", *lines])
    write_atomic(folder / "summary.txt", text + "\n")
    return text


def totals(orderings: Sequence[Mapping[str, Any]]) -> str:
    """How many hold, fail and are undecided, in words."""
    words = [order["verdict"] for order in orderings]
    return ", ".join(f"{words.count(word)} {word}" for word in record.VERDICTS)


def text(found: Record) -> str:
    """Our columns beside the paper's, and a line for each ordering."""
    lines = [f"{found['table']}: {found['title']} ({found['source']})"]
    rows = cells(found)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        first, *others = map(str.ljust, row, widths)
        lines.append("  ".join([first, *map(str.rjust, map(str.strip, others), widths[1:])]))
    labels = {score["name"]: score["label"] for score in found["scores"]}
    for order in found["orderings"]:
        lines.append(
            f"{order['better']} better than {order['worse']}, {labels[order['score']]}: "
            f"by {shown_difference(found, order)}: {order['verdict']} (p {order['p']:.2g})"
        )
    lines.append(
        f"Mean and 95 % interval over {len(found['seeds'])} seed(s), scale {found['scale']}; "
        "differences are paired; p with Holm's correction."
    )
    return "\n".join(lines)


def cells(found: Record) -> list[list[str]]:
    """The table as text: a heading and a line a row, with the paper's column where there is one."""
    scores = found["scores"]
    given = {name for row in found["rows"] for name in row["paper"]}
    heading, columns = ["row"], []
    for score in scores:
        if score["name"].removeprefix(REAL) in given:
            heading.append(f"paper: {score['label']}")
            columns.append((score, True))
        heading.append(f"ours: {score['label']}")
        columns.append((score, False))
    lines = [heading]
    for row in found["rows"]:
        line = [row["name"]]
        for score, of_paper in columns:
            paper = row["paper"].get(score["name"].removeprefix(REAL))
            ours = row["ours"].get(score["name"])
            if of_paper:
                line.append("-" if paper is None else f"{paper:g}")
            else:
                line.append("-" if ours is None else show(ours, score["digits"]))
        lines.append(line)
    return lines


def shown_difference(found: Record, order: Mapping[str, Any]) -> str:
    """The difference of an ordering and its interval, such as "2.10 +- 1.90"."""
    digits = next(each["digits"] for each in found["scores"] if each["name"] == order["score"])
    return show({"mean": order["difference"], "interval": order["interval"]}, digits)
