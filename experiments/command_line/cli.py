"""What every program shares: flags of its own, help, and errors that fit on one line."""

import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from absl import app, flags, logging

from basics.compilation import keep_compiled_programs
from basics.errors import InputError

Main = Callable[[Sequence[str]], None]

_HELP = ("--help", "-help", "--helpfull", "--helpshort", "-h")


def run(
    main: Main,
    flag_values: flags.FlagValues,
    argv: Sequence[str] | None = None,
    positional: str | None = None,
) -> NoReturn:
    """Parses the flags, calls `main([program])`, and exits.

    What a user can put right (an InputError, a file the system refuses) ends as one line on
    standard error and exit status 1; a wrong flag as one line and status 2. Anything else
    is a defect of ours and keeps its traceback.

    Args:
        main: the program.
        flag_values: where the program defined its flags. One registry a program lets programs that
            share names of flags be imported together.
        argv: the command line with the program's name first; sys.argv by default.
        positional: name of the one argument that the program takes beside its flags, which `main`
            gets behind its own name; by default it takes none.
    """

    def parse(arguments: Sequence[str]) -> Sequence[str]:
        return _parse(main, flag_values, arguments, positional)

    def guarded(remaining: Sequence[str]) -> None:
        try:
            main(remaining)
        except (InputError, OSError) as error:
            _fail(error, status=1)

    logging.set_verbosity(logging.WARNING)  # the libraries' notes would bury ours
    keep_compiled_programs()
    app.run(guarded, argv=list(sys.argv if argv is None else argv), flags_parser=parse)


def require_folder(path: pathlib.Path) -> None:
    """Raises InputError if `path` cannot become a folder because a file is in its way."""
    for part in (path, *path.parents):
        if part.exists() and not part.is_dir():
            raise InputError(f"{part} is a file: give a folder to write to")


def _parse(
    main: Main,
    flag_values: flags.FlagValues,
    arguments: Sequence[str],
    positional: str | None,
) -> Sequence[str]:
    if any(argument in _HELP for argument in arguments[1:]):
        print(sys.modules[main.__module__].__doc__)
        print(_describe(flag_values))
        sys.exit(0)
    flag_values.unparse_flags()  # values of an earlier run in this process
    try:
        remaining = flag_values(arguments)
    except flags.Error as error:
        _fail(error, status=2)
    flags.FLAGS.mark_as_parsed()  # absl reads its own flags from there
    if positional and len(remaining) < 2:
        _fail(f"{positional} is missing; --help shows examples", status=2)
    unexpected = remaining[2 if positional else 1 :]
    if unexpected:
        _fail(f"unexpected argument {unexpected[0]!r}: write values as --flag=value", status=2)
    return remaining


def _describe(flag_values: flags.FlagValues) -> str:
    lines = ["Flags:"]
    for name in flag_values:
        flag = flag_values[name]
        if name not in ("flagfile", "undefok"):  # absl's, in every registry
            default = "" if flag.default is None else f" (default: {flag.default_as_str})"
            text = f"--{name}: {flag.help}{default}"
            lines.append(flags.text_wrap(text, indent=" " * 6, firstline_indent="  "))
    return "\n".join(lines)


def _fail(error: Exception | str, status: int) -> NoReturn:
    print("error:", " ".join(str(error).split()), file=sys.stderr)
    sys.exit(status)
