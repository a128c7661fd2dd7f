"""The flags of the programs that run a matrix of trials."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

from absl import flags

import metaopt
from basics.files import write_atomic
from experiments.command_line import dataset_flags, shared_flags, tracker_flags
from experiments.command_line.choices import choose
from experiments.command_line.output_folder import OutputFolder
from experiments.matrix import budget, trial
from experiments.runs import executors, metadata
from tracking_tasks.data.photos import load_bank

_NOT_REPEATED = ("resume", "flagfile")


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
            list(trial.PRESETS),
            "Size: smoke (seconds a trial, says nothing), quick (a minute a trial on two cores), "
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
            "Where trials run: on this machine, or on a Ray cluster (extra `ray`) whose nodes see "
            "the output folder.",
            flag_values=registry,
        )
        self._workers = flags.DEFINE_integer(
            "workers", 1, "Processes on this machine, each a trial at a time.", 1,
            flag_values=registry,
        )  # fmt: skip
        self._backbone = tracker_flags.BackboneFlags(registry)
        self._photos_dir = shared_flags.photos_dir_flag(registry)
        self._dataset = dataset_flags.Dataset(registry)
        self._output = OutputFolder(registry, output_dir, resumable=True)
        self._constants = tracker_flags.Constants(registry)

    @property
    def folder(self) -> pathlib.Path:
        """Where results go."""
        return self._output.path

    @property
    def resume(self) -> bool:
        """Whether to go on with what the folder holds."""
        return self._output.resumed

    @property
    def executor(self) -> tuple[str, int]:
        """Where trials run, and in how many processes."""
        return self._executor.value, self._workers.value

    def trials(self, trackers: Sequence[str]) -> list[trial.Trial]:
        """All of the matrix; those of a tracker and seed, which share most, one after the other.

        Raises:
            InputError: a rule is unknown, or there is none.
        """
        rules = choose(self._rules.value, metaopt.optimizers.names(), "inner optimizer")
        seeds = self._seeds.value or trial.PRESETS[self._preset.value].seeds
        return [
            trial.Trial(tracker, rule, seed)
            for tracker in trackers
            for seed in range(seeds)
            for rule in rules
        ]

    def conditions(self, trackers: Sequence[str]) -> trial.Conditions:
        """What all trials have in common.

        Raises:
            InputError: a flag is wrong.
        """
        self._constants.require_of(trackers)
        preset = trial.PRESETS[self._preset.value]
        conditions = trial.Conditions(
            folder=self.folder,
            preset=preset,
            configs={
                name: self._constants.apply(name, trial.config_for(name, preset))
                for name in trackers
            },
            budget=self._budget.value,
            photos_dir=self._photos_dir.value,
            real=tuple(self._dataset.read()) if self._dataset.given else (),
            backbone=self._backbone.choice,
        )
        load_bank(self._photos_dir.value, "test")  # a folder without photographs is found out now
        return conditions

    def lock(self, conditions: trial.Conditions) -> dict[str, Any]:
        """Makes the folder ours, and writes flags that repeat the run.

        Returns:
            What results say of the run: its `configuration`, which it must have in common with one
            that it goes on with, and what it ran on.

        Raises:
            InputError: the folder holds another run, or one and no --resume.
        """
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
        notes = {"fairness": budget.BUDGETS[conditions.budget], "versions": metadata.versions()}
        taken = (self.folder / "run.json").is_file()
        self._output.lock(configuration, taken=taken, **notes)
        names = [name for name in self._registry if name == self._registry[name].name]
        given = [self._registry[name] for name in names if self._registry[name].present]
        lines = [flag.serialize() for flag in given if flag.name not in _NOT_REPEATED]
        write_atomic(self.folder / "flags.txt", "".join(f"{line}\n" for line in lines))
        return {"configuration": configuration, **notes}
