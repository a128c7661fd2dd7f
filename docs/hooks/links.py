"""Links that leave docs/: to a page made of a file of the root, or else the file's name as text."""

import os
import pathlib
import posixpath
import re
from typing import Any

ROOT = pathlib.Path(__file__).parents[2]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "tracking_tasks/weights/README.md": "weights.md",
    "docs/equations.toml": "equations.md",
}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)#\s]+)(#[^)]*)?\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrites the links of a page of docs/."""
    return rewritten(markdown, posixpath.join("docs", page.file.src_uri), page.file.src_uri)


def rewritten(markdown: str, source: str, page: str) -> str:
    """The text with links that work on the site.

    Args:
        markdown: the text.
        source: the file that it stands in, from the root of the repository.
        page: the page that it becomes, from docs/.
    """

    def link(match: re.Match[str]) -> str:
        image, text, target, anchor = match[1], match[2], match[3], match[4] or ""
        if "://" in target:
            return match[0]
        file = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if file in PAGES:
            to = PAGES[file]
        elif file.startswith("docs/"):
            to = file.removeprefix("docs/")
        elif (ROOT / file).exists():
            return f"{text} (`{file}`)" if text.strip("`") != file else f"`{file}`"
        else:
            return match[0]  # the strict build says that it leads nowhere
        return f"{image}[{text}]({os.path.relpath(to, os.path.dirname(page) or '.')}{anchor})"

    return _LINK.sub(link, markdown)
