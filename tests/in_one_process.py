"""Runs programs one after the other in one process, which saves them the imports.

Reads from standard input a list of commands as JSON, each the arguments of `python -m`; writes the
exit status and the output of each, likewise.
"""

import contextlib
import io
import json
import runpy
import sys


def run(name, *flags):
    sys.argv = [name, *flags]
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        try:
            runpy.run_module(name, run_name="__main__", alter_sys=True)
            status = 0
        except SystemExit as end:
            status = end.code or 0
    return status, output.getvalue()


if __name__ == "__main__":
    results = [run(*command) for command in json.load(sys.stdin)]
    json.dump(results, sys.stdout)
