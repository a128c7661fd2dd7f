"""Readers for the public data sets, as they lie on disk: one format a file."""

import dataclasses
import pathlib
from collections.abc import Callable, Collection

from tqdm import tqdm

from basics.errors import InputError
from tracking_tasks.data.formats import (
    coco,
    got10k,
    lasot,
    nfs,
    otb,
    tc128,
    trackingnet,
    uav123,
    vot,
)
from tracking_tasks.data.formats.common import Found
from tracking_tasks.data.sequences import Sequence


@dataclasses.dataclass(frozen=True)
class Format:
    """A layout of annotated sequences on disk.

    Attributes:
        find: finds the sequences of a folder, or of one split of it, without reading them.
        layout: what lies where, in a line.
        splits: the names of its parts.
    """

    find: Callable[[pathlib.Path, str | None], Found]
    layout: str
    splits: tuple[str, ...] = ()


FORMATS = {
    "otb": Format(otb.find, "<Name>/img/0001.jpg, <Name>/groundtruth_rect.txt or .1.txt, .2.txt"),
    "tc128": Format(
        tc128.find, "<Name>/img/0001.jpg, <Name>/<Name>_frames.txt, <Name>/<Name>_gt.txt"
    ),
    "got10k": Format(
        got10k.find,
        "train/list.txt, train/<name>/00000001.jpg, groundtruth.txt, *.label, meta_info.ini",
        got10k.SPLITS,
    ),
    "lasot": Format(
        lasot.find,
        "<category>/<category>-1/img/00000001.jpg, groundtruth.txt, full_occlusion.txt, "
        "out_of_view.txt; training_set.txt, testing_set.txt",
        lasot.SPLITS,
    ),
    "trackingnet": Format(
        trackingnet.find, "TRAIN_0/anno/<id>.txt, TRAIN_0/frames/<id>/0.jpg", trackingnet.SPLITS
    ),
    "uav123": Format(
        uav123.find, "anno/UAV123/<name>.txt, data_seq/UAV123/<video>/000001.jpg", uav123.SPLITS
    ),
    "nfs": Format(
        nfs.find,
        "<name>/30/<name>.txt, <name>/30/<name>/00001.jpg; or anno/nfs_<name>.txt, "
        "sequences/<name>/00001.jpg",
        nfs.SPLITS,
    ),
    "vot": Format(
        vot.find,
        "list.txt, <name>/sequence, <name>/color/00000001.jpg, groundtruth.txt, anchor.value; "
        "before 2020 also <name>/00000001.jpg",
    ),
    "coco": Format(
        coco.find, "annotations/instances_val2017.json, val2017/000000000001.jpg", coco.SPLITS
    ),
}


def find_sequences(folder: pathlib.Path, dataset_format: str, *, split: str | None = None) -> Found:
    """Finds the sequences of a data set: by name, what reads each.

    Nothing but names is read, so that a few sequences of thousands can be had quickly.

    Args:
        folder: as published; each format's module says which.
        dataset_format: a key of `FORMATS`.
        split: one of the format's splits; None takes all, of UAV123 and NfS the first.

    Raises:
        InputError: the format or the split is unknown, or the folder does not hold such sequences.
            Reading a sequence raises it too, where its files are damaged.
    """
    if dataset_format not in FORMATS:
        known = ", ".join(FORMATS)
        raise InputError(f"unknown dataset format {dataset_format!r}: known formats are {known}")
    layout = FORMATS[dataset_format]
    if split is not None and split not in layout.splits:
        known = ", ".join(layout.splits) or "none"
        raise InputError(f"unknown split {split!r} of {dataset_format}: known splits are {known}")
    return layout.find(pathlib.Path(folder), split)


def read_dataset(
    folder: pathlib.Path,
    dataset_format: str,
    *,
    split: str | None = None,
    names: Collection[str] | None = None,
    broken: Callable[[str, InputError], None] | None = None,
) -> list[Sequence]:
    """Reads the sequences of a data set, showing a bar if it takes long.

    Args:
        folder: as published; each format's module says which.
        dataset_format: a key of `FORMATS`.
        split: one of the format's splits; None takes all, of UAV123 and NfS the first.
        names: which sequences, in the order wanted; all by default.
        broken: called with the name of each sequence that cannot be read, and why; the others are
            returned. By default such a sequence ends everything.

    Raises:
        InputError: as `find_sequences`, or there is no sequence of a name.
    """
    found = find_sequences(folder, dataset_format, split=split)
    for name in names or ():
        if name not in found:
            raise InputError(f"unknown sequence {name!r}: known sequences are {_some(found)}")
    read = []
    for name in tqdm(names or found, desc="sequences", delay=5):
        try:
            read.append(found[name]())
        except InputError as error:
            if broken is None:
                raise
            broken(name, error)
    return read


def _some(names: Collection[str], shown: int = 20) -> str:
    text = ", ".join(list(names)[:shown])
    return text if len(names) <= shown else f"{text} and {len(names) - shown} more"
