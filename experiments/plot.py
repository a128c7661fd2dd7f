r"""Draws the results of several trackers into the plots that papers print.

Each folder holds the boxes of one tracker: one that experiments.evaluate wrote, or anyone else's
with a line x,y,w,h a frame (commas, tabs or spaces; pixels counted from 0 or from 1):
    FOLDER/boxes/<sequence>.txt                    this project
    FOLDER/<sequence>/<sequence>_001.txt           got10k's toolkit on GOT-10k
    FOLDER/<sequence>.txt                          got10k, pytracking, pysot on OTB and others
The name of the folder is the name in the legend.

Examples:
    python -m experiments.plot --dataset_dir=OTB100 --results_dirs=runs/dimp,raw/SiamFC,raw/ECO
    python -m experiments.plot --results_dirs=vot/dimp,vot/siamfc --output_dir=vot/plots
    python -m experiments.plot --dataset_dir=OTB100 --results_dirs=runs/a,runs/b \
        --names="DiMP,initial values" --strips=Couple,Jogging.1 --output_dir=paper
    python -m experiments.plot --dataset_dir=OTB100 --results_dirs=tre/a,tre/b --start=tre

Writes to the output folder, over the sequences that all trackers have boxes for:
    success.png, precision.png, normalized_precision.png
                              mean curves, the best tracker first in the legend
    attributes.png            area under the success curve by attribute, if the data set has any
    strips/<sequence>.png     frames with the boxes of all trackers and the true ones
    scores.json               the numbers of the legends, and how far the area under the success
                              curve is from that of the first tracker, with 95 % intervals; these
                              are printed too
Of folders that experiments.vot wrote it draws, and needs no data set for it:
    accuracy_robustness.png, expected_overlap.png
"""

import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from absl import flags

from basics.errors import InputError
from basics.files import write_atomic
from experiments.analysis.paired_differences import describe, to_first
from experiments.analysis.published_results import find_boxes, read_published
from experiments.command_line import cli, dataset_flags, shared_flags
from experiments.command_line.output_folder import OutputFolder
from experiments.pictures import vot_plots
from tracking_tasks import evaluation
from tracking_tasks.data import sequences as sequences_lib
from tracking_tasks.evaluation import otb_starts, plots
from tracking_tasks.evaluation.strips import save_strip

_MOST_STRIPS = 4  # that are drawn unasked

FLAGS = flags.FlagValues()
_RESULTS_DIRS = flags.DEFINE_list(
    "results_dirs", None, "Folders of results, separated by commas.", FLAGS, required=True
)
_NAMES = flags.DEFINE_list(
    "names", None, "What the legend calls them; by default the folders' names.", FLAGS
)
_DATASET = dataset_flags.Dataset(FLAGS)
_SEQUENCES = shared_flags.sequences_flag(FLAGS)
_START = dataset_flags.start_flag(FLAGS)
_STRIPS = flags.DEFINE_list(
    "strips", None, f"Which sequences to show; by default the first {_MOST_STRIPS}.", FLAGS
)
_OUTPUT = OutputFolder(FLAGS, "plots")

Boxes = dict[str, list[np.ndarray]]
Sequences = Sequence[sequences_lib.Sequence]


def main(_: Sequence[str]) -> None:
    """Runs the program."""
    output = _OUTPUT.path
    folders = [pathlib.Path(folder) for folder in _RESULTS_DIRS.value]
    names = label(folders, _NAMES.value)
    found = {name: vot_plots.read(folder) for name, folder in zip(names, folders, strict=True)}
    if all(found.values()):
        vot_plots.save(output, found)
        print(f"written to {output}")
        return
    whole = _DATASET.read(_SEQUENCES.value)
    runs = otb_starts.expand(_START.value, whole)
    sequences = common_to(folders, runs)
    boxes = {name: _read(folder, sequences) for name, folder in zip(names, folders, strict=True)}
    shown = choose(sequences, _STRIPS.value)
    what = "sequences" if _START.value == "first" else f"runs of {_START.value}"
    title = f"{FLAGS['dataset_format'].value}, {len(sequences)} {what}"
    scores = save_curves(output, boxes, sequences, title)
    aucs = {name: _aucs(each, sequences) for name, each in boxes.items()}
    save_attributes(output, aucs, sequences, title)
    for name, difference in to_first(aucs, runs, len(whole)).items():
        print(f"AUC of {name} less that of {names[0]}: {describe(difference)}")
        scores[name]["auc_difference"] = difference
    for index in shown:
        path = output / "strips" / f"{sequences[index].name}.png"
        save_strip(path, sequences[index], {name: each[index] for name, each in boxes.items()})
    write_atomic(output / "scores.json", json.dumps(scores, indent=2) + "\n")
    print(f"written to {output}")


def label(folders: Sequence[pathlib.Path], names: Sequence[str] | None) -> list[str]:
    """Returns a name for each folder.

    Raises:
        InputError: a folder is missing, or there is not one name for each, or two are equal.
    """
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder: give the results of a tracker")
    names = names or [folder.resolve().name for folder in folders]
    if len(names) != len(folders):
        raise InputError(f"--names gives {len(names)} names for {len(folders)} folders")
    if len(set(names)) < len(names):
        raise InputError(f"two results are called the same ({', '.join(names)}): give --names")
    return list(names)


def common_to(folders: Sequence[pathlib.Path], sequences: Sequences) -> Sequences:
    """Returns the sequences that all folders have boxes for, and says how many there are not.

    Raises:
        InputError: there are none.
    """
    chosen = list(sequences)
    for folder in folders:
        missing = [s.name for s in sequences if find_boxes(folder, s.name) is None]
        if missing:
            print(f"{folder} has no boxes for {len(missing)} sequences, such as {missing[0]}")
        chosen = [sequence for sequence in chosen if sequence.name not in missing]
    if not chosen:
        raise InputError("there is no sequence that all folders have boxes for: check the data set")
    return chosen


def choose(sequences: Sequences, names: Sequence[str] | None) -> list[int]:
    """Returns the places of the sequences to show.

    Raises:
        InputError: there is no sequence of a name.
    """
    known = [sequence.name for sequence in sequences]
    for name in names or ():
        if name not in known:
            raise InputError(f"unknown sequence {name!r}: known sequences are {', '.join(known)}")
    return [known.index(name) for name in names or known[:_MOST_STRIPS]]


def save_curves(
    output: pathlib.Path, boxes: Boxes, sequences: Sequences, title: str
) -> dict[str, dict[str, Any]]:
    """Saves the three plots of curves, and returns the numbers in their legends by tracker."""

    def mean(curve: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> dict[str, np.ndarray]:
        pairs = {name: zip(each, sequences, strict=True) for name, each in boxes.items()}
        return {
            name: np.mean([curve(predicted, sequence.boxes) for predicted, sequence in each], 0)
            for name, each in pairs.items()
        }

    legends = {
        "auc": plots.save_success_plot(
            output / "success.png", mean(evaluation.success_curve), title
        ),
        "precision20": plots.save_precision_plot(
            output / "precision.png", mean(evaluation.precision_curve), title
        ),
        "normalized_precision": plots.save_normalized_precision_plot(
            output / "normalized_precision.png",
            mean(evaluation.normalized_precision_curve),
            title,
        ),
    }
    return {name: {key: legend[name] for key, legend in legends.items()} for name in boxes}


def save_attributes(
    output: pathlib.Path, aucs: Mapping[str, Mapping[str, float]], sequences: Sequences, title: str
) -> None:
    """Saves the bars by attribute, if there are attributes, of areas by tracker and sequence."""
    members = {
        attribute: [sequence.name for sequence in sequences if attribute in sequence.attributes]
        for attribute in {name for sequence in sequences for name in sequence.attributes}
    }
    if not members:
        return
    plots.save_attribute_plot(
        output / "attributes.png",
        {
            name: {a: float(np.mean([values[n] for n in m])) for a, m in members.items()}
            for name, values in aucs.items()
        },
        {attribute: len(of_it) for attribute, of_it in members.items()},
        title,
        "success rate (area under the curve)",
    )


def _aucs(boxes: Sequence[np.ndarray], sequences: Sequences) -> dict[str, float]:
    """A tracker's area under the success curve, by sequence."""
    pairs = zip(boxes, sequences, strict=True)
    return {each.name: evaluation.success_auc(predicted, each.boxes) for predicted, each in pairs}


def _read(folder: pathlib.Path, sequences: Sequences) -> list[np.ndarray]:
    paths = [(find_boxes(folder, sequence.name), sequence) for sequence in sequences]
    return [read_published(path, sequence) for path, sequence in paths if path is not None]


if __name__ == "__main__":
    cli.run(main, FLAGS)
