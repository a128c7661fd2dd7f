"""Flags of the programs that run a matrix of cells, and the run itself."""

import dataclasses
import functools
import importlib.metadata
import pathlib
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
from absl import flags
from tqdm import tqdm

import metaopt
from basics.files import write_atomic
from experiments.command_line import cli, shared_flags
from experiments.matrix import budget, matrix
from experiments.runs import executors, run_identity
from tracking_tasks.data.photos import load_bank

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_NOT_REPEATED = ("resume", "flagfile")
_LIBRARIES = ("jax", "jaxlib", "flax", "optax", "numpy")


class Outcome(NamedTuple):
    """What a run gave.

    Attributes:
        heading: the full configuration, versions and revision.
        cells: the finished ones, in the order of the matrix.
        failures: why the others failed, by the name of the cell.
    """

    heading: dict[str, Any]
    cells: list[dict[str, Any]]
    failures: dict[str, str]


class MatrixFlags:
    """The flags that `compare` and `sweep` share.

    Args:
        registry: where they are defined.
        rules: the default of --inner_optimizers.
        output_dir: the default of --output_dir.
    """

    def __init__(self, registry: flags.FlagValues, rules: str, output_dir: str) -> None:
        self._registry = registry
        known = ", ".join(metaopt.optimizers.names())
        self._rules = flags.DEFINE_list(
            "inner_optimizers", rules, f"The rules, of: {known}; or all.", flag_values=registry
        )
        self._preset = flags.DEFINE_enum(
            "preset",
            "quick",
            list(matrix.PRESETS),
            "Size: smoke (seconds a cell, says nothing), quick (a minute a cell on two cores), "
            "full (a GPU).",
            flag_values=registry,
        )
        self._seeds = flags.DEFINE_integer(
            "seeds", None, "Seeds per rule; by default the preset's.", 1, flag_values=registry
        )
        self._budget = flags.DEFINE_enum(
            "budget",
            "inner_steps",
            list(budget.BUDGETS),
            "What is equal between rules. "
            + "; ".join(f"{name}: {meaning}" for name, meaning in budget.BUDGETS.items())
            + ".",
            flag_values=registry,
        )
        self._executor = flags.DEFINE_enum(
            "executor",
            "local",
            executors.EXECUTORS,
            "Where cells run: on this machine, or on a Ray cluster (extra `ray`) whose nodes see "
            "the output folder.",
            flag_values=registry,
        )
        self._workers = flags.DEFINE_integer(
            "workers", 1, "Processes on this machine, each a cell at a time.", 1,
            flag_values=registry,
        )  # fmt: skip
        self._backbone = shared_flags.BackboneFlags(registry)
        self._photos_dir = shared_flags.photos_dir_flag(registry)
        self._dataset = shared_flags.Dataset(registry)
        self._resume = flags.DEFINE_bool(
            "resume", False, "Go on with what the output folder holds.", flag_values=registry
        )
        self._output_dir = flags.DEFINE_string(
            "output_dir", output_dir, "The folder to write to.", flag_values=registry
        )
        self._constants = shared_flags.Constants(registry)

    @property
    def folder(self) -> pathlib.Path:
        """Where results go."""
        return pathlib.Path(self._output_dir.value)

    def run(self, trackers: Sequence[str]) -> Outcome:
        """Runs every cell that is not finished, with a progress bar; failures are reported.

        Raises:
            InputError: a flag is wrong, or the folder holds another run, or one and no --resume.
        """
        folder = self.folder
        cli.require_folder(folder)
        rules = matrix.rules(self._rules.value)
        preset = matrix.PRESETS[self._preset.value]
        conditions = self._conditions(trackers, preset)
        load_bank(self._photos_dir.value, "test")  # a folder without photographs is found out now
        wanted = [
            matrix.Cell(tracker, rule, seed)
            for tracker in trackers
            for seed in range(self._seeds.value or preset.seeds)
            for rule in rules
        ]
        heading = self._heading(conditions)
        self._claim(heading)
        done = matrix.finished(folder, wanted) if self._resume.value else {}
        missing = [cell for cell in wanted if cell not in done]
        failures: dict[str, str] = {}
        make = functools.partial(matrix.cell_runner, conditions, self._resume.value)
        outcomes = executors.run(make, missing, self._executor.value, self._workers.value)
        bar = tqdm(outcomes, "cells", initial=len(done), total=len(wanted), unit="cell")
        for cell, result, failure in bar:
            if failure is None:
                done[cell] = result
            else:
                failures[str(cell)] = failure
                print(f"{cell} failed: {failure}", file=sys.stderr)
        return Outcome(heading, [done[cell] for cell in wanted if cell in done], failures)

    def _conditions(self, trackers: Sequence[str], preset: matrix.Preset) -> matrix.Conditions:
        self._constants.require_of(trackers)
        configs = {
            name: self._constants.apply(name, matrix.config_for(name, preset)) for name in trackers
        }
        return matrix.Conditions(
            folder=self.folder,
            preset=preset,
            configs=configs,
            budget=self._budget.value,
            photos_dir=self._photos_dir.value,
            real=tuple(self._dataset.read()) if self._dataset.given else (),
            backbone=self._backbone.choice,
        )

    def _heading(self, conditions: matrix.Conditions) -> dict[str, Any]:
        """What a run of the same results must have in common, and what it ran on."""
        configs = {name: dataclasses.asdict(each) for name, each in conditions.configs.items()}
        configuration = {
            "preset": self._preset.value,
            "budget": conditions.budget,
            "trackers": configs,
            "sizes": dataclasses.asdict(conditions.preset),
            "photos_dir": conditions.photos_dir,
            "sequences": [sequence.name for sequence in conditions.real],
            **self._backbone.identity,
        }
        return {
            "configuration": configuration,
            "fairness": budget.BUDGETS[conditions.budget],
            "versions": {name: importlib.metadata.version(name) for name in _LIBRARIES}
            | {"platform": jax.default_backend(), "revision": _revision()},
        }

    def _claim(self, heading: dict[str, Any]) -> None:
        """Makes the folder ours, and writes flags that repeat the run."""
        taken = (self.folder / "run.json").is_file()
        run_identity.claim(self.folder, **heading, taken=taken, resume=self._resume.value)
        given = [self._registry[name] for name in self._registry if self._registry[name].present]
        lines = [flag.serialize() for flag in given if flag.name not in _NOT_REPEATED]
        write_atomic(self.folder / "flags.txt", "".join(f"{line}\n" for line in lines))


def _revision() -> str | None:
    """The git revision of this code, with a + if it was changed since; None without git."""
    git = ["git", "-C", str(_ROOT)]
    try:
        head = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        )
        changes = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changes.stdout.strip() else "")
