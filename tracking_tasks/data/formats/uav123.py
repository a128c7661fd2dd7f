"""UAV123 and UAV20L (Mueller et al. 2016)."""

import functools
import pathlib

import numpy as np

from basics.errors import InputError
from tracking_tasks.data.formats.common import (
    Found,
    file_number,
    from_one,
    match,
    read_attributes,
    require_folder,
    without_size,
)
from tracking_tasks.data.sequences import Sequence, list_images, natural_key
from tracking_tasks.data.tables import read_boxes

SPLITS = ("uav123", "uav20l")

# First and last file number of what is annotated in each folder (configSeqs.m of the toolkit). Two
# or more ranges are the sequences <folder>_1, <folder>_2, ...; UAV20L has them as one. A folder
# that is not here is taken whole.
_RANGES = """
    bike1 1-3085, bike2 1-553, bike3 1-433, bird1 1-253 775-1477 1573-2437, boat1 1-901,
    boat2 1-799, boat3 1-901, boat4 1-553, boat5 1-505, boat6 1-805, boat7 1-535, boat8 1-685,
    boat9 1-1399, building1 1-469, building2 1-577, building3 1-829, building4 1-787,
    building5 1-481, car1 1-751 751-1627 1627-2629, car1_s 1-1475, car2 1-1321, car2_s 1-320,
    car3 1-1717, car3_s 1-1300, car4 1-1345, car4_s 1-830, car5 1-745,
    car6 1-487 487-1807 1807-2953 2953-3925 3925-4861, car7 1-1033, car8 1-1357 1357-2575,
    car9 1-1879, car10 1-1405, car11 1-337, car12 1-499, car13 1-415, car14 1-1327, car15 1-469,
    car16 1-415 415-1993, car17 1-1057, car18 1-1207,
    group1 1-1333 1333-2515 2515-3925 3925-4873, group2 1-907 907-1771 1771-2683,
    group3 1-1567 1567-2827 2827-4369 4369-5527, person1 1-799, person1_s 1-1600,
    person2 1-1189 1189-2623, person2_s 1-250, person3 1-643, person3_s 1-505,
    person4 1-1501 1501-2743, person5 1-877 877-2101, person6 1-901, person7 1-1249 1249-2065,
    person8 1-1075 1075-1525, person9 1-661, person10 1-1021, person11 1-721,
    person12 1-601 601-1621, person13 1-883, person14 1-847 847-1813 1813-2923, person15 1-1339,
    person16 1-1147, person17 1-1501 1501-2347, person18 1-1393,
    person19 1-1243 1243-2791 2791-4357, person20 1-1783, person21 1-487, person22 1-199,
    person23 1-397, truck1 1-463, truck2 1-385, truck3 1-535, truck4 1-577 577-1261,
    uav1 1-1555 1555-2377 2473-3469, uav2 1-133, uav3 1-265, uav4 1-157, uav5 1-139, uav6 1-109,
    uav7 1-373, uav8 1-301, wakeboard1 1-421, wakeboard2 1-733, wakeboard3 1-823, wakeboard4 1-697,
    wakeboard5 1-1675, wakeboard6 1-1165, wakeboard7 1-199, wakeboard8 1-1543, wakeboard9 1-355,
    wakeboard10 1-469
"""
# The order of the flags in anno/UAV123/att/<name>.txt (DatasetAnnotation.pdf).
_ATTRIBUTES = ("SV", "ARC", "LR", "FM", "FOC", "POC", "OV", "BC", "IV", "VC", "CM", "SOB")

Range = tuple[str, int, int]  # folder, first and last file number


def find(folder: pathlib.Path, split: str | None) -> Found:
    """Finds the sequences of UAV123 (the default) or of UAV20L in the same folder.

    Frames are `data_seq/UAV123/<video>/000001.jpg ...`; several sequences may be parts of one
    video (`bird1_1` ... of `bird1`). Truth is `anno/UAV123/<name>.txt` or `anno/UAV20L/<name>.txt`:
    x and y from 1, as in the OTB toolkit that it extends; the target is absent where a line is NaN.
    Attributes come from `att/<name>.txt` beside the truth, if it is there.

    Raises:
        InputError: there is no truth.
    """
    require_folder(folder)
    part = (split or "uav123").upper()
    paths = sorted((folder / "anno" / part).glob("*.txt"), key=natural_key)
    if not paths:
        raise InputError(
            f"{folder} holds no {part} sequence: expected anno/{part}/<name>.txt and "
            "data_seq/UAV123/<video>/000001.jpg"
        )
    ranges = _whole() if part == "UAV20L" else _parts()
    return {
        path.stem: functools.partial(_read, folder, path, ranges.get(path.stem)) for path in paths
    }


@functools.cache
def _parts() -> dict[str, Range]:
    """The ranges of UAV123 by the name of the sequence: 123 of them, 112,578 frames."""
    ranges = {}
    for entry in _RANGES.split(","):
        video, *spans = entry.split()
        for index, span in enumerate(spans, start=1):
            first, last = map(int, span.split("-"))
            name = f"{video}_{index}" if len(spans) > 1 else video
            ranges[name] = (video, first, last)
    return ranges


@functools.cache
def _whole() -> dict[str, Range]:
    """The ranges of UAV20L: from the first frame of a video to the last of its last part."""
    last: dict[str, int] = {}
    for video, _, end in _parts().values():
        last[video] = max(last.get(video, 0), end)
    return {video: (video, 1, end) for video, end in last.items()}


def _read(root: pathlib.Path, path: pathlib.Path, span: Range | None) -> Sequence:
    folder = root / "data_seq" / "UAV123" / (span[0] if span else path.stem)
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist: it must hold the frames of {path.name}")
    frames = list_images(folder)
    if span:
        frames = tuple(frame for frame in frames if span[1] <= file_number(frame) <= span[2])
    boxes = read_boxes(path, nan_is_absent=True)
    match(path, boxes, frames, folder)
    absent = without_size(boxes)
    return Sequence(
        path.stem,
        frames,
        np.where(absent[:, None], np.float32(0), from_one(boxes)),
        absent=absent,
        attributes=read_attributes(path.parent / "att" / path.name, _ATTRIBUTES),
    )
