"""Single flags that several programs share, so that they read the same everywhere."""

from absl import flags


def photos_dir_flag(registry: flags.FlagValues) -> flags.FlagHolder[str | None]:
    """--photos_dir."""
    return flags.DEFINE_string(
        "photos_dir",
        None,
        "A folder of photographs to render from; by default those of scikit-image.",
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
