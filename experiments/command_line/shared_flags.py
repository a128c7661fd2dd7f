"""Flags that several programs share, so that they read the same everywhere."""

import functools
import hashlib
import os
import pathlib
from collections.abc import Collection
from typing import Any

from absl import flags

import metaopt
import tracking_tasks
from basics.errors import InputError
from experiments.command_line.config_flags import ConfigFlags
from models import BACKBONES, Backbone, EfficientNetLite0
from tracking_tasks.data.formats import FORMATS, read_dataset
from tracking_tasks.data.sequences import Sequence
from tracking_tasks.evaluation import otb_starts
from tracking_tasks.trackers import TRACKERS

DATASETS_VARIABLE = "METAOPT_DATASETS"


def tracker_flag(registry: flags.FlagValues) -> flags.FlagHolder[str]:
    """--tracker."""
    return flags.DEFINE_enum(
        "tracker", "dimp", sorted(TRACKERS), "Which tracker.", flag_values=registry
    )


def inner_optimizer_flag(registry: flags.FlagValues) -> flags.FlagHolder[str | None]:
    """--inner_optimizer."""
    return flags.DEFINE_enum(
        "inner_optimizer",
        None,
        metaopt.optimizers.names(),
        "Which rule fits it to its target; by default that of the tracker's paper.",
        flag_values=registry,
    )


def photos_dir_flag(registry: flags.FlagValues) -> flags.FlagHolder[str | None]:
    """--photos_dir."""
    return flags.DEFINE_string(
        "photos_dir",
        None,
        "A folder of photographs to render from; by default those of scikit-image.",
        flag_values=registry,
    )


def start_flag(registry: flags.FlagValues) -> flags.FlagHolder[str]:
    """--start."""
    return flags.DEFINE_enum(
        "start",
        "first",
        list(otb_starts.KINDS),
        "Where a tracker starts: from the first true box (one pass), from 12 perturbed ones (sre, "
        "spatial robustness), or from 20 frames spread over the sequence (tre, temporal "
        "robustness).",
        flag_values=registry,
    )


class Dataset:
    """--dataset_dir, --dataset_format and --dataset_split: annotated sequences on disk."""

    def __init__(self, registry: flags.FlagValues) -> None:
        self._folder = flags.DEFINE_string(
            "dataset_dir",
            None,
            "The folder with annotated sequences; by default the one named like their format in "
            f"the folder that the environment variable {DATASETS_VARIABLE} names.",
            flag_values=registry,
        )
        layouts = "".join(f"\n{name}: {FORMATS[name].layout}" for name in FORMATS)
        self._format = flags.DEFINE_enum(
            "dataset_format",
            "otb",
            list(FORMATS),
            f"Their layout, as the data set is published.{layouts}\n",
            flag_values=registry,
        )
        splits = "; ".join(
            f"{name}: {', '.join(FORMATS[name].splits)}" for name in FORMATS if FORMATS[name].splits
        )
        self._split = flags.DEFINE_string(
            "dataset_split",
            None,
            f"Which part of them ({splits}); by default all of them, of uav123 and nfs the first.",
            flag_values=registry,
        )

    @property
    def given(self) -> bool:
        """Whether the command line asks for real sequences at all."""
        return any(flag.present for flag in (self._folder, self._format, self._split))

    @property
    def name(self) -> str:
        """What they are called in reports: their format and split."""
        return "-".join(filter(None, (self._format.value, self._split.value)))

    def folder(self) -> pathlib.Path:
        """Where they lie.

        Raises:
            InputError: Neither the flag nor the environment variable says.
        """
        if self._folder.value:
            return pathlib.Path(self._folder.value)
        root = os.environ.get(DATASETS_VARIABLE)
        if not root:
            raise InputError(
                f"no sequences to read: give --dataset_dir, or name in {DATASETS_VARIABLE} the "
                "folder that holds one folder per format"
            )
        return pathlib.Path(root) / self._format.value

    def read(self, names: Collection[str] | None = None) -> list[Sequence]:
        """Reads the sequences that the flags ask for; those of the names, or all.

        Raises:
            InputError: They are not there, or damaged.
        """
        folder, split = self.folder(), self._split.value
        return read_dataset(folder, self._format.value, split=split, names=names)


class BackboneFlags:
    """--backbone and --backbone_weights."""

    def __init__(self, registry: flags.FlagValues) -> None:
        self._name = flags.DEFINE_enum(
            "backbone",
            None,
            list(BACKBONES),
            "The pretrained network under the tracker; by default the tracker's own.",
            flag_values=registry,
        )
        self._weights = flags.DEFINE_string(
            "backbone_weights",
            None,
            "Its weights, a PyTorch state dict such as torchvision publishes; those of "
            f"{EfficientNetLite0.name} come with the installation.",
            flag_values=registry,
        )

    @property
    def identity(self) -> dict[str, str | None]:
        """What was asked for, to tell runs apart."""
        return {"backbone": self._name.value, "backbone_weights": self._weights.value}

    @property
    def choice(self) -> tuple[str, str | None] | None:
        """Name and file of the weights; None for the tracker's own backbone.

        Raises:
            InputError: Weights without the name of their network.
        """
        if self._name.value is None:
            if self._weights.value is not None:
                raise InputError(
                    "--backbone_weights needs the name of the network: pass --backbone too"
                )
            return None
        return self._name.value, self._weights.value

    def load(self) -> Backbone | None:
        """The backbone that the flags ask for; None for the tracker's own.

        Raises:
            InputError: Weights without the name of their network.
            WeightsError: The weights are missing, damaged, or of another network.
        """
        if self.choice is None:
            return None
        name, weights = self.choice
        return BACKBONES[name].pretrained(weights)


class Constants:
    """--<tracker>.<constant> for the constants of every tracker."""

    def __init__(self, registry: flags.FlagValues) -> None:
        self._flags = {
            name: ConfigFlags(registry, name, cls.config_type()) for name, cls in TRACKERS.items()
        }

    def given(self, tracker: str) -> dict[str, Any]:
        """What the command line gives of a tracker, by the name of the flag.

        Raises:
            InputError: It gives constants of another tracker, which would change nothing.
        """
        self.require_of([tracker])
        return self._flags[tracker].given

    def require_of(self, trackers: Collection[str]) -> None:
        """Raises InputError if the command line gives constants of other trackers."""
        for name, each in self._flags.items():
            if each.given and name not in trackers:
                raise InputError(
                    f"--{next(iter(each.given))} is a constant of {name}, which does not run: "
                    "leave it out, or choose that tracker"
                )

    def apply(self, tracker: str, config: Any) -> Any:
        """A tracker's constants with what the command line gives."""
        return self._flags[tracker].apply(config)


class LoadedTracker:
    """--tracker, --inner_optimizer, --checkpoint, --backbone and constants: ready for use.

    Args:
        registry: Where the flags are defined.
        constants: Whether the tracker's constants are flags too.
    """

    def __init__(self, registry: flags.FlagValues, constants: bool = True) -> None:
        self._name = tracker_flag(registry)
        self._inner_optimizer = inner_optimizer_flag(registry)
        self._backbone = BackboneFlags(registry)
        self._constants = Constants(registry) if constants else None
        self._checkpoint = flags.DEFINE_string(
            "checkpoint",
            None,
            "Weights from experiments.train; by default those shipped.",
            flag_values=registry,
        )

    def digest(self) -> str:
        """The SHA-256 of the file that the weights are read from, as hexadecimal digits."""
        shipped = tracking_tasks.shipped_weights(self._name.value, self._inner_optimizer.value)
        path = self._checkpoint.value or shipped
        return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()

    def metadata(self, tracker: tracking_tasks.OnlineTracker) -> dict[str, Any]:
        """What results say of the tracker that `load` returned."""
        metadata: dict[str, Any] = {
            "tracker": tracker.name,
            "inner_optimizer": tracker.inner_optimizer,
        }
        given = self._constants.given(self._name.value) if self._constants else {}
        if given:
            metadata["constants"] = {name: repr(value) for name, value in given.items()}
        return metadata

    def load(self) -> tracking_tasks.OnlineTracker:
        """The tracker that the flags ask for.

        Raises:
            InputError: A constant is of another tracker, or the checkpoint cannot be used.
        """
        name, change = self._name.value, None
        if self._constants:
            self._constants.require_of([name])
            change = functools.partial(self._constants.apply, name)
        return tracking_tasks.load(
            name,
            inner_optimizer=self._inner_optimizer.value,
            backbone=self._backbone.load(),
            checkpoint=self._checkpoint.value,
            change=change,
        )
