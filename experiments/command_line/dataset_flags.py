"""--dataset_dir, --dataset_format and --dataset_split: which annotated sequences."""

import os
import pathlib
from collections.abc import Callable, Collection

from absl import flags

from basics.errors import InputError
from basics.files import read_json
from tracking_tasks.data.formats import FORMATS, read_dataset
from tracking_tasks.data.sequences import Sequence
from tracking_tasks.evaluation import otb_starts

DATASETS_VARIABLE = "METAOPT_DATASETS"
SPLIT = "split.json"  # beside videos: which targets are for training, for validation, ...


def targets_of(folder: pathlib.Path, part: str) -> list[str]:
    """The names of the targets that the `split.json` of a folder has in a part.

    Raises:
        InputError: there is no such file, it is damaged, or has no such part.
    """
    path = folder / SPLIT
    if not path.is_file():
        raise InputError(f"{path} does not exist: it must name the targets of {part}")
    found = read_json(path)
    names = found.get(part) if isinstance(found, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path} must name the targets of {part} in a list: correct it")
    return names


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
    """--dataset_dir, --dataset_format and --dataset_split: annotated sequences on disk.

    Args:
        registry: where the flags are defined.
        several: whether --dataset_dir may be given more than once.
    """

    def __init__(self, registry: flags.FlagValues, several: bool = False) -> None:
        define = flags.DEFINE_multi_string if several else flags.DEFINE_string
        again = "; may be given more than once" if several else ""
        self._folder = define(
            "dataset_dir",
            None,
            "The folder with annotated sequences; by default the one named like their format in "
            f"the folder that the environment variable {DATASETS_VARIABLE} names{again}.",
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

    def folders(self) -> list[pathlib.Path]:
        """Where they lie.

        Raises:
            InputError: neither the flag nor the environment variable says.
        """
        given = self._folder.value
        if given:
            return [pathlib.Path(each) for each in ([given] if isinstance(given, str) else given)]
        root = os.environ.get(DATASETS_VARIABLE)
        if not root:
            raise InputError(
                f"no sequences to read: give --dataset_dir, or name in {DATASETS_VARIABLE} the "
                "folder that holds one folder per format"
            )
        return [pathlib.Path(root) / self._format.value]

    def folder(self) -> pathlib.Path:
        """Where they lie, if that is one folder; see `folders`."""
        (folder,) = self.folders()
        return folder

    def read(
        self,
        names: Collection[str] | None = None,
        broken: Callable[[str, InputError], None] | None = None,
    ) -> list[Sequence]:
        """Reads the sequences that the flags ask for; those of the names, or all.

        Args:
            names: of the sequences.
            broken: called with the name of each that cannot be read, and why, instead of raising.

        Raises:
            InputError: they are not there, or damaged, or two are of one name.
        """
        kind, split = self._format.value, self._split.value
        found: dict[str, Sequence] = {}
        for folder in self.folders():
            for each in read_dataset(folder, kind, split=split, names=names, broken=broken):
                if each.name in found:
                    raise InputError(f"two folders hold a sequence {each.name}: leave one out")
                found[each.name] = each
        return list(found.values())

    def for_training(self) -> set[str]:
        """Names of the sequences that a `split.json` beside them sets apart for training.

        Raises:
            InputError: such a file is damaged.
        """
        folders = [folder for folder in self.folders() if (folder / SPLIT).is_file()]
        return {name for folder in folders for name in targets_of(folder, "train")}
