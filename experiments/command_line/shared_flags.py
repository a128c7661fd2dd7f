"""Single flags that several programs share, so that they read the same everywhere."""

from absl import flags

import metaopt
from tracking_tasks.evaluation import otb_starts
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


def seed_flag(registry: flags.FlagValues) -> flags.FlagHolder[int]:
    """--seed."""
    return flags.DEFINE_integer("seed", 0, "Of everything random.", flag_values=registry)


def sequences_flag(registry: flags.FlagValues) -> flags.FlagHolder[list[str] | None]:
    """--sequences."""
    return flags.DEFINE_list(
        "sequences",
        None,
        "Names of sequences, separated by commas; by default all.",
        flag_values=registry,
    )
