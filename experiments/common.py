"""Flags that several programs share, so that they read the same everywhere."""

from typing import Any

from absl import flags

import metaopt
import tracking_tasks
from tracking_tasks.data.sequences import FORMATS
from tracking_tasks.trackers import TRACKERS


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


def dataset_flags(
    registry: flags.FlagValues, required: bool
) -> tuple[flags.FlagHolder[Any], flags.FlagHolder[str]]:
    """--dataset_dir and --dataset_format."""
    folder = flags.DEFINE_string(
        "dataset_dir",
        None,
        "The folder with annotated sequences.",
        required=required,
        flag_values=registry,
    )
    layout = flags.DEFINE_enum(
        "dataset_format", "otb", list(FORMATS), "Their layout.", flag_values=registry
    )
    return folder, layout


class LoadedTracker:
    """--tracker, --inner_optimizer and --checkpoint: a tracker ready for use."""

    def __init__(self, registry: flags.FlagValues) -> None:
        self._name = tracker_flag(registry)
        self._inner_optimizer = inner_optimizer_flag(registry)
        self._checkpoint = flags.DEFINE_string(
            "checkpoint",
            None,
            "Weights from experiments.train; by default those shipped.",
            flag_values=registry,
        )

    def load(self) -> tracking_tasks.OnlineTracker:
        """The tracker that the flags ask for."""
        return tracking_tasks.load(
            self._name.value,
            inner_optimizer=self._inner_optimizer.value,
            checkpoint=self._checkpoint.value,
        )
