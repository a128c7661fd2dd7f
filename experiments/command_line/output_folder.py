"""--output_dir, and --resume: the folder that a run writes to."""

import pathlib
from collections.abc import Mapping
from typing import Any

from absl import flags

from experiments.command_line import cli
from experiments.runs import claims, run_lock


def claim_beside(path: pathlib.Path) -> None:
    """Lets no other process write to a file, or a folder that is yet to be, until this one ends.

    Raises:
        InputError: another process writes to it.
    """
    claims.claim(path.with_name(f".{path.name}.claimed"), take_over=True)


class OutputFolder:
    """--output_dir, and --resume for a run that can be stopped.

    Args:
        registry: where the flags are defined.
        default: the folder; without one the flag is required.
        resumable: whether --resume is a flag too.
    """

    def __init__(
        self, registry: flags.FlagValues, default: str | None = None, resumable: bool = False
    ) -> None:
        self._folder = flags.DEFINE_string(
            "output_dir",
            default,
            "The folder to write to.",
            required=default is None,
            flag_values=registry,
        )
        self._resume = None
        if resumable:
            self._resume = flags.DEFINE_bool(
                "resume",
                False,
                "Go on with what the output folder holds of the same run.",
                flag_values=registry,
            )

    @property
    def path(self) -> pathlib.Path:
        """The folder, which no other process writes to from the first time that it is asked for.

        Raises:
            InputError: a file is in its way, another process writes to it, or one died there and
                the run could go on but `resumed` is off.
        """
        path = pathlib.Path(str(self._folder.value))  # there is one: a default, or required
        cli.require_folder(path)
        claims.claim(path, take_over=self.resumed or self._resume is None)
        return path

    @property
    def resumed(self) -> bool:
        """Whether the run goes on with what is there."""
        return self._resume is not None and bool(self._resume.value)

    def lock(self, configuration: Mapping[str, Any], *, taken: bool, **notes: Any) -> None:
        """Makes the folder this run's own, see `run_lock.lock`."""
        run_lock.lock(self.path, configuration, taken=taken, resume=self.resumed, **notes)


class OptionalOutputFolder:
    """--output_dir of a program that prints what it finds, and keeps it if asked to."""

    def __init__(self, registry: flags.FlagValues) -> None:
        self._folder = flags.DEFINE_string(
            "output_dir", None, "The folder to write to; by default none.", flag_values=registry
        )

    @property
    def path(self) -> pathlib.Path | None:
        """The folder, or None; no other process writes to it from now on.

        Raises:
            InputError: a file is in its way, or another process writes to it.
        """
        if not self._folder.value:
            return None
        path = pathlib.Path(self._folder.value)
        cli.require_folder(path)
        claims.claim(path, take_over=True)
        return path
