"""What campaigns found: a JSON file each in docs/records, and its table in docs/reliability.md.

`python -m tests.campaigns.records` writes the tables of all records into the page.
"""

import datetime
import json
import pathlib
import re
import subprocess

from basics.files import read_json, write_atomic

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "records"
PAGE = ROOT / "docs" / "reliability.md"
_BLOCK = r"(<!-- record {name} -->\n)(.*?)(<!-- end -->)"


class Record:
    """The rows that a campaign found.

    Args:
        name: of its file.
        columns: what the table shows; the first is the name of a row.
    """

    def __init__(self, name, columns):
        self.name, self.columns = name, columns
        self.path = FOLDER / f"{name}.json"

    def rows(self):
        return read_json(self.path)["rows"] if self.path.exists() else {}

    def add(self, key, values):
        """Puts a row in the place of the earlier one; kept at once, for campaigns take long."""
        git = ["git", "-C", str(ROOT), "describe", "--always", "--exclude=*", "--dirty=+"]
        revision = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
        made = {"date": datetime.date.today().isoformat(), "revision": revision}
        rows = self.rows() | {key: values | made}
        text = json.dumps({"columns": self.columns, "rows": rows}, indent=1)
        write_atomic(self.path, text + "\n")

    def require_on_page(self):
        """Fails unless the page prints the table of the record."""
        block = re.search(_BLOCK.format(name=self.name), PAGE.read_text(), re.DOTALL)
        assert block, f"{PAGE.name} has no place for {self.name}"
        assert block[2] == table(read_json(self.path)), "run python -m tests.campaigns.records"


def table(record):
    """A record in Markdown: a line a row, sums below numbers that are counts, and when it was."""
    names, rows = record["columns"], record["rows"]
    lines = [f"| {' | '.join(names)} |", "|---|" + "--:|" * (len(names) - 1)]
    for key, row in rows.items():
        cells = [_text(row[name]) for name in names[1:]]
        lines.append(f"| {' | '.join([key, *cells])} |")
    if all(isinstance(row[name], int) for row in rows.values() for name in names[1:]):
        sums = [sum(row[name] for row in rows.values()) for name in names[1:] if name != "seed"]
        blank = [""] * (len(names) - 1 - len(sums))
        lines.append(f"| all | {' | '.join([*(f'{total:,}' for total in sums), *blank])} |")
    made = sorted({(row["date"], row["revision"]) for row in rows.values()})
    said = ", ".join(f"{date} at {revision}" for date, revision in made)
    return "\n".join(lines) + f"\n\nMeasured {said}.\n"


def _text(value):
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    text = PAGE.read_text()
    for path in sorted(FOLDER.glob("*.json")):
        new = table(read_json(path))
        pattern = _BLOCK.format(name=path.stem)
        text = re.sub(pattern, lambda m, new=new: m[1] + new + m[3], text, flags=re.DOTALL)
    write_atomic(PAGE, text)
