"""Help, numbers that cannot be meant, and the ways in which a program ends."""

import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from absl import flags

from basics.errors import InputError
from experiments import track
from experiments.command_line import cli
from experiments.command_line.config_flags import ConfigFlags
from experiments.command_line.output_folder import OutputFolder
from tests.experiments.programs import run

ROOT = pathlib.Path(__file__).parents[3]


def flags_of(text):
    """The names of the flags that a help text lists, in order."""
    return [line.strip().partition(":")[0] for line in text.splitlines() if line.startswith("  --")]


def test_help_shows_a_program_s_own_flags_first_and_no_constants(capsys):
    assert run(track, "--help") == 0
    text = capsys.readouterr().out
    listed = flags_of(text)
    assert listed.index("--video") < listed.index("--tracker")
    assert set(listed[: listed.index("--backbone")]) >= {"--box", "--output", "--forms", "--select"}
    assert not [name for name in listed if "." in name]
    assert "constants (--dimp.*): --helpfull shows them." in text


@pytest.mark.parametrize("tracker", [None, "roam"])
def test_helpfull_shows_the_constants_of_the_chosen_tracker_only(capsys, tracker):
    assert run(track, "--helpfull", *([f"--tracker={tracker}"] if tracker else [])) == 0
    listed = flags_of(capsys.readouterr().out)
    assert "--video" in listed
    prefixes = {name.partition(".")[0] for name in listed if "." in name}
    assert prefixes == {f"--{tracker or 'dimp'}"}


def program(tmp_path, capsys, main, *arguments):
    """Exit status and message of a program with an output folder, a rate and numbers."""
    registry = flags.FlagValues()
    output = OutputFolder(registry, resumable=True)
    flags.DEFINE_float("rate", float("inf"), "", flag_values=registry)
    ConfigFlags(registry, "constants", Constants())
    with pytest.raises(SystemExit) as exit:
        cli.run(
            lambda _: main(output.path), registry, ["it", f"--output_dir={tmp_path}", *arguments]
        )
    return exit.value.code or 0, capsys.readouterr().err


@dataclasses.dataclass(frozen=True)
class Constants:
    """Of nothing.

    Attributes:
        scales: some.
        most: one.
    """

    scales: tuple[float, ...] = (1.0,)
    most: float = 1.0


@pytest.mark.parametrize(
    "given",
    ["--rate=inf", "--rate=nan", "--rate=-1e999", "--constants.scales=(1.0,1e999)",
     "--constants.most=1e999"],
)  # fmt: skip
def test_numbers_that_are_not_finite_are_refused_whatever_the_flag(tmp_path, capsys, given):
    status, said = program(tmp_path, capsys, lambda _: None, given)
    assert status == 2
    assert said.startswith(f"error: {given.partition('=')[0]}=") and "must be finite" in said


@pytest.mark.parametrize("given", ["--rat=1", "--rate" + "x" * 100, "--" + "x" * 5000])
def test_an_unknown_flag_is_a_short_sentence(tmp_path, capsys, given):
    status, said = program(tmp_path, capsys, lambda _: None, given)
    assert status == 2 and said.count("\n") == 1 and len(said) < 150
    assert ("Did you mean: rate ?" in said) == (given == "--rat=1")


def test_a_default_may_be_infinite(tmp_path, capsys):
    assert program(tmp_path, capsys, lambda _: None, "--rate=1e38") == (0, "")
    assert program(tmp_path, capsys, lambda _: None) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_as_a_sentence_and_releases_the_folder(tmp_path, capsys, number):
    def main(folder):
        (folder / "done").write_text("")
        assert (folder / ".claim").exists()
        os.kill(os.getpid(), number)
        time.sleep(10)

    before = signal.getsignal(signal.SIGTERM)
    status, said = program(tmp_path, capsys, main)
    assert status == 130
    assert said == "error: stopped: what was written before is kept; --resume goes on with it\n"
    assert [path.name for path in tmp_path.iterdir()] == ["done"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_reader_that_has_enough_ends_it_without_a_word():
    """As in `--help | head -1`, whatever is left to be written."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", _TALKS]
    ended = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, cwd=ROOT, text=True)
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGPIPE, "")


_TALKS = """
from absl import flags
from experiments.command_line import cli
cli.run(lambda _: print("much " * 100_000), flags.FlagValues(), ["it"])
"""


@pytest.mark.parametrize("error", [InputError("it is wrong"), OSError(28, "No space left")])
def test_what_can_be_put_right_is_a_sentence_and_releases_the_folder(tmp_path, capsys, error):
    def main(_):
        raise error

    status, said = program(tmp_path, capsys, main)
    assert status == 1 and said == f"error: {error}\n"
    assert not list(tmp_path.iterdir())
