"""Pages that are made of what the code says: programs, constants, equations, files of the root."""

import functools
import html
import importlib
import pathlib
import tomllib
from typing import Any

from mkdocs.structure.files import File

from docs.hooks.links import PAGES, rewritten
from tracking_tasks.trackers import TRACKERS

ROOT = pathlib.Path(__file__).parents[2]
_OF_ABSL = ("flagfile", "undefok")


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages."""
    for name, text in pages().items():
        files.append(File.generated(config, name, content=text))
    return files


@functools.cache
def pages() -> dict[str, str]:
    """Texts by the names of their pages."""
    made = {f"programs/{name}.md": program(name) for name in programs()}
    made |= {f"constants/{tracker}.md": constants(tracker) for tracker in sorted(TRACKERS)}
    made["equations.md"] = equations()
    for source, page in PAGES.items():
        if source.endswith(".md") and page != "index.md":
            made[page] = rewritten((ROOT / source).read_text(), source, page)
    return made


def programs() -> list[str]:
    """The names of our programs, such as `sweep` and `few_shot.transfer`."""
    folder = ROOT / "experiments"
    files = [path for path in folder.rglob("*.py") if "cli.run(main" in path.read_text()]
    names = [".".join(path.relative_to(folder).with_suffix("").parts) for path in files]
    return sorted(name.removesuffix(".__main__") for name in names)


def flags_of(name: str) -> tuple[str, Any]:
    """A program's docstring and its flags."""
    path = ROOT / "experiments" / pathlib.Path(*name.split("."))
    module = importlib.import_module(
        f"experiments.{name}.__main__" if path.is_dir() else f"experiments.{name}"
    )
    return str(module.__doc__), module.FLAGS


def program(name: str) -> str:
    """A page of a program: what its `--help` says."""
    text, registry = flags_of(name)
    first, _, rest = text.partition("\n")
    plain = [flag for flag in registry if "." not in flag and flag not in _OF_ABSL]
    dotted = [flag for flag in registry if "." in flag and registry[flag].name == flag]
    kinds = {flag.partition(".")[0] for flag in dotted}
    trackers = [f"[`--{kind}.*`](../constants/{kind}.md)" for kind in sorted(kinds & {*TRACKERS})]
    others = [flag for flag in dotted if flag.partition(".")[0] not in TRACKERS]
    lines = [f"# {name}", first, f"```\n{rest.strip()}\n```" if rest.strip() else ""]
    if plain:
        lines += ["## Flags", table(plain, registry)]
    if trackers:
        lines.append(f"And the constants of each tracker: {', '.join(trackers)}.")
    if others:
        lines += ["## Other constants", table(others, registry)]
    return "\n\n".join(lines) + "\n"


def constants(tracker: str) -> str:
    """A page of a tracker's constants, which are flags of every program that runs one."""
    _, registry = flags_of("sweep")
    names = [flag for flag in registry if flag.startswith(f"{tracker}.")]
    names = [flag for flag in names if registry[flag].name == flag]
    said = (
        "Every constant is a flag of the programs, `--NAME=VALUE`. Its source is in brackets: the "
        "paper, its published code, or a choice made here; what those rest on stands in "
        "[validation](../results/validation.md)."
    )
    return f"# Constants of {tracker}\n\n{said}\n\n{table(names, registry)}\n"


def table(names: list[str], registry: Any) -> str:
    """Flags with their meaning and default."""
    rows = ["| flag | meaning | default |", "|---|---|---|"]
    for name in names:
        flag = registry[name]
        default = "" if flag.default is None else f"`{flag.default_as_str.strip(chr(39))}`"
        rows.append(f"| `--{name}` | {cell(flag.help)} | {default.replace('|', '&#124;')} |")
    return "\n".join(rows)


def cell(text: str) -> str:
    """Text as it can stand in a table."""
    text = html.escape(" ".join(text.split()), quote=False)
    for character in "|*_[]":
        text = text.replace(character, f"&#{ord(character)};")
    return text


def equations() -> str:
    """The page of docs/equations.toml."""
    contents = tomllib.loads((ROOT / "docs" / "equations.toml").read_text())
    lines = ["# Where each equation is", "A test holds each row: the symbol names its equation."]
    for paper, rows in contents["equations"].items():
        lines += [f"## {paper}", contents["papers"][paper]]
        lines.append("\n".join([
            "| equation | what | file | symbol |", "|---|---|---|---|",
            *(f"| {row['number']} | {cell(row['what'])} | `{row['file']}` | `{row['symbol']}` |"
              for row in rows),
        ]))  # fmt: skip
    return "\n\n".join(lines) + "\n"
