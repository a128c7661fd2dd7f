"""What every program shares: flags of its own, help, and errors that fit on one line."""

import contextlib
import difflib
import math
import os
import pathlib
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from absl import app, flags, logging

from basics.compilation import keep_compiled_programs
from basics.errors import InputError, said_by
from experiments.runs import claims

Main = Callable[[Sequence[str]], None]

_OF_ABSL = ("flagfile", "undefok")
_PIPE_CLOSED = 128 + signal.SIGPIPE  # the status that a shell gives to what a closed pipe ends
_HELP = ("--help", "-help", "--helpfull", "--helpshort", "-h")


def run(
    main: Main,
    flag_values: flags.FlagValues,
    argv: Sequence[str] | None = None,
    positional: str | None = None,
) -> NoReturn:
    """Parses the flags, calls `main([program])`, and exits.

    What a user can put right (an InputError, a file the system refuses) ends as one line on
    standard error and exit status 1; a wrong flag as one line and status 2; Ctrl-C and SIGTERM as
    one line and status 130; a reader of its output that has enough (`--help | head`) without a
    word. Anything else is a defect of ours and keeps its traceback. In every case the folders that
    the program claimed are released.

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
            with _sigterm_as_interrupt():
                main(remaining)
        except BrokenPipeError:
            raise
        except (InputError, OSError) as error:
            _fail(error, status=1)
        except KeyboardInterrupt:
            goes_on = "; --resume goes on with it" if "resume" in flag_values else ""
            _fail(f"stopped: what was written before is kept{goes_on}", status=130)
        finally:
            claims.release()

    logging.set_verbosity(logging.WARNING)  # the libraries' notes would bury ours
    keep_compiled_programs()
    with _closed_pipe_ends():
        app.run(guarded, argv=list(sys.argv if argv is None else argv), flags_parser=parse)


def require_folder(path: pathlib.Path) -> None:
    """Raises InputError if `path` cannot become a folder because a file is in its way."""
    for part in (path, *path.parents):
        if part.exists() and not part.is_dir():
            raise InputError(f"{part} is a file: give a folder to write to")


@contextlib.contextmanager
def _closed_pipe_ends() -> Iterator[None]:
    """A reader that has enough, as in `--help | head`, ends the program without a word."""
    try:
        yield
    except BrokenPipeError:
        # What is left in the buffer would fail once more when Python flushes it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_PIPE_CLOSED)


@contextlib.contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """What ends a job on a cluster ends it as Ctrl-C does, not in the middle of a write."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _parse(
    main: Main,
    flag_values: flags.FlagValues,
    arguments: Sequence[str],
    positional: str | None,
) -> Sequence[str]:
    if any(argument in _HELP for argument in arguments[1:]):
        print(sys.modules[main.__module__].__doc__)
        print(_describe(flag_values, arguments[1:]))
        sys.exit(0)
    try:
        remaining = parse(flag_values, arguments)
    except flags.Error as error:
        _fail(error, status=2)
    flags.FLAGS.mark_as_parsed()  # absl reads its own flags from there
    if positional and len(remaining) < 2:
        _fail(f"{positional} is missing; --help shows examples", status=2)
    unexpected = remaining[2 if positional else 1 :]
    if unexpected:
        _fail(f"unexpected argument {unexpected[0]!r}: write values as --flag=value", status=2)
    return remaining


def parse(flag_values: flags.FlagValues, arguments: Sequence[str]) -> Sequence[str]:
    """Reads the flags of a command line into their registry; returns what is none.

    Raises:
        flags.Error: one is unknown, or has a value that it cannot have; in a short sentence.
    """
    flag_values.unparse_flags()  # values of an earlier run in this process
    try:
        remaining = flag_values(arguments)
    except flags.UnrecognizedFlagError as error:
        alike = ", ".join(difflib.get_close_matches(error.flagname, list(flag_values)))
        asked = f" Did you mean: {alike} ?" if alike else ""
        raise flags.Error(f"Unknown command line flag {error.flagname[:40]!r}.{asked}") from None
    except RecursionError:  # absl looks for names that are alike, a call a letter
        raise flags.Error("the name of a flag is longer than that of any") from None
    except flags.Error as error:
        raise flags.Error(said_by(error)) from None
    for name in flag_values:
        if flag_values[name].present and not _finite(flag_values[name].value):
            raise flags.Error(f"--{name}={flag_values[name].value} must be finite")
    return remaining


def _finite(value: Any) -> bool:
    """Whether a flag's value, and all in it, is no infinite number and no NaN."""
    if isinstance(value, list | tuple):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _describe(flag_values: flags.FlagValues, arguments: Sequence[str]) -> str:
    """The flags: a program's own, then those that it shares, then, if asked for, constants."""
    defined = flag_values.flags_by_module_dict()
    shared = {
        flag.name
        for module, group in defined.items()
        if module.startswith(__package__)
        for flag in group
    }
    # flagfile and undefok are absl's, in every registry.
    plain = [name for name in flag_values if "." not in name and name not in _OF_ABSL]
    lines = ["Flags:", *(_line(flag_values[name]) for name in plain if name not in shared)]
    lines += [_line(flag_values[name]) for name in plain if name in shared]
    constants = _constants(flag_values, arguments)
    if "--helpfull" in arguments:
        lines += [_line(flag_values[name]) for name in constants]
    elif constants:
        kinds = ", ".join(dict.fromkeys(f"--{name.partition('.')[0]}.*" for name in constants))
        lines.append(f"And {len(constants)} constants ({kinds}): --helpfull shows them.")
    return "\n".join(lines)


def _line(flag: flags.Flag) -> str:
    default = "" if flag.default is None else f" (default: {flag.default_as_str})"
    text = f"--{flag.name}: {flag.help}{default}"
    return flags.text_wrap(text, indent=" " * 6, firstline_indent="  ")


def _constants(flag_values: flags.FlagValues, arguments: Sequence[str]) -> list[str]:
    """The flags with a dot by their names of today; of those of trackers the chosen one's."""
    dotted = [name for name in flag_values if "." in name and flag_values[name].name == name]
    chosen: set[str] = set()
    trackers: set[str] = set()
    if "tracker" in flag_values:
        trackers = set(getattr(flag_values["tracker"].parser, "enum_values", ()))
        given = {argument.rpartition("=")[2] for argument in arguments}
        chosen = given & trackers or {str(flag_values["tracker"].default)}
    return [name for name in dotted if name.partition(".")[0] not in trackers - chosen]


def _fail(error: Exception | str, status: int) -> NoReturn:
    print("error:", " ".join(str(error).split()), file=sys.stderr)
    sys.exit(status)
