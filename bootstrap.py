"""Runs Python in this project's own environment, which it makes on first use.

    python3 bootstrap.py -m experiments.compare
    python3 bootstrap.py -m pytest

Everything after `bootstrap.py` goes to the interpreter of `.venv`. The environment is made anew
whenever `pyproject.toml` or `constraints.txt` changes. Needs Python 3.11 or later and nothing else.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import venv

ROOT = pathlib.Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
SOURCES = [ROOT / "pyproject.toml", ROOT / "constraints.txt"]


def main() -> int:
    """Makes the environment if need be, and hands over to its interpreter."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is run by whatever python3 is
        sys.exit("error: Python 3.11 or later is needed; run this with a newer python3.")
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in SOURCES)).hexdigest()
    stamp = ENVIRONMENT / "metaopt-stamp"
    if not stamp.is_file() or stamp.read_text() != wanted:
        install()
        stamp.write_text(wanted)
    return subprocess.call([PYTHON, *sys.argv[1:]], cwd=ROOT)


def install() -> None:
    """Makes `.venv`, with the tested dependencies and this folder's packages from anywhere."""
    print(f"Setting up {ENVIRONMENT} (once, a few minutes) ...", file=sys.stderr, flush=True)
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    venv.create(ENVIRONMENT, with_pip=True)
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        subprocess.check_call([*pip, "-c", "constraints.txt", "-e", ".[dev]"], cwd=ROOT)
        # What is installed is metaopt alone, as in its wheel; a line in a file of this kind puts
        # the packages beside it on the path.
        where = [PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
        packages = subprocess.check_output(where, text=True).strip()
        pathlib.Path(packages, "metaopt-clone.pth").write_text(f"{ROOT}\n")
    except subprocess.CalledProcessError:
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        sys.exit("error: the installation failed; see pip's message above, then run this again.")


if __name__ == "__main__":
    sys.exit(main())
