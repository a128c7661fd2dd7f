"""A folder in `nav` stands for its pages, so that a page which is added is found, not listed."""

import pathlib
from typing import Any

# Pages that hooks make; what lies in docs/ is found there.
MADE = ("programs", "constants")
INDEX = ("index", "README")


def on_config(config: Any) -> Any:
    """Puts pages in the place of folders."""
    config.nav = expanded(config.nav, pathlib.Path(config.docs_dir))
    return config


def expanded(entries: list[Any], docs: pathlib.Path) -> list[Any]:
    """The entries with the pages of each folder; a folder that is not there is left out."""
    pages: list[Any] = []
    for entry in entries:
        if isinstance(entry, dict):
            ((title, inner),) = entry.items()
            inner = expanded(inner if isinstance(inner, list) else [inner], docs)
            alone = len(inner) == 1 and not str(entry[title]).endswith("/")
            if inner:
                pages.append({title: inner[0] if alone else inner})
        elif entry.endswith("/"):
            pages += in_folder(entry, docs)
        else:
            pages.append(entry)
    return pages


def in_folder(folder: str, docs: pathlib.Path) -> list[str]:
    """The pages of a folder, by name, the index first."""
    if folder.rstrip("/") in MADE:
        from docs.hooks.generated import pages

        return [name for name in pages() if name.startswith(folder)]
    found = [path for path in (docs / folder).glob("*") if path.suffix in (".md", ".py")]
    found.sort(key=lambda path: (path.stem not in INDEX, path.name))
    return [f"{folder}{path.name}" for path in found]
