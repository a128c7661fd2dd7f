"""What campaigns found: a JSON file each in docs/records, and its table in a page of docs.

`python -m tests.campaigns.records` writes the tables of all records into their pages.
"""

import datetime
import json
import pathlib
import re
import subprocess

from basics.files import read_json, write_atomic

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "records"
PAGES = (ROOT / "docs" / "reliability.md", *sorted((ROOT / "docs" / "results").glob("*.md")))
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
        made = {"date": datetime.date.today().isoformat(), "revision": revision()}
        rows = self.rows() | {key: values | made}
        text = json.dumps({"columns": self.columns, "rows": rows}, indent=1)
        write_atomic(self.path, text + "\n")

    def require_on_page(self):
        """Fails unless one page prints the table of the record."""
        pattern = _BLOCK.format(name=self.name)
        blocks = [block for page in PAGES for block in re.finditer(pattern, page.read_text(), re.S)]
        assert len(blocks) == 1, f"{len(blocks)} places of the docs are for {self.name}"
        assert blocks[0][2] == table(read_json(self.path)), "run python -m tests.campaigns.records"


def revision():
    """The commit that is checked out, with a + if anything but the records differs from it."""
    git = ["git", "-C", str(ROOT)]
    name = subprocess.run(
        [*git, "describe", "--always", "--exclude=*"], capture_output=True, text=True, check=True
    )
    changed = [*git, "diff", "--quiet", "HEAD", "--", ".", ":!docs/records"]
    return name.stdout.strip() + "+" * subprocess.run(changed, check=False).returncode


def table(record):
    """A record in Markdown: a line a row, sums below numbers that are counts, and when it was.

    A record whose columns name the date and the revision says it in every row.
    """
    names, rows = record["columns"], record["rows"]
    lines = [f"| {' | '.join(names)} |", "|---|" + "--:|" * (len(names) - 1)]
    for key, row in rows.items():
        cells = [_text(row[name]) for name in names[1:]]
        lines.append(f"| {' | '.join([key, *cells])} |")
    if all(isinstance(row[name], int) for row in rows.values() for name in names[1:]):
        sums = [sum(row[name] for row in rows.values()) for name in names[1:] if name != "seed"]
        blank = [""] * (len(names) - 1 - len(sums))
        lines.append(f"| all | {' | '.join([*(f'{total:,}' for total in sums), *blank])} |")
    if "revision" in names:
        return "\n".join(lines) + "\n"
    made = sorted({(row["date"], row["revision"]) for row in rows.values()})
    said = ", ".join(f"{date} at {revision}" for date, revision in made)
    return "\n".join(lines) + f"\n\nMeasured {said}.\n"


def _text(value):
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    for page in PAGES:
        text = page.read_text()
        for path in sorted(FOLDER.glob("*.json")):
            new = table(read_json(path))
            pattern = _BLOCK.format(name=path.stem)
            text = re.sub(pattern, lambda m, new=new: m[1] + new + m[3], text, flags=re.DOTALL)
        write_atomic(page, text)
