r"""Packs a data set once, so that training reads a few frames of a video without decoding the rest.

Any format that experiments.evaluate reads can be packed, still images (coco) too. JPEG files are
kept byte for byte, unless --longest_side asks for smaller images. Each image is decoded once to see
that it is whole. Frames without a visible target stay in the videos and are never drawn.

Examples:
    python -m experiments.pack --dataset_dir=GOT-10k --dataset_format=got10k \
        --dataset_split=train --output_dir=packed/got10k
    python -m experiments.pack --dataset_dir=COCO --dataset_format=coco \
        --dataset_split=train --output_dir=packed/coco
    python -m experiments.train --output_dir=runs/dimp \
        --datasets=packed/got10k,packed/coco:0.5 --rendered_weight=0.5

Writes to the output folder, which is there whole or not at all:
    packed.json               what was packed, and the size of every file
    frames/, sequences/       two TFDS data sets of array_record files: a record an image, and a
                              record a target with its boxes
"""

import pathlib
from collections.abc import Sequence

from absl import flags

from experiments.command_line import cli, dataset_flags
from experiments.command_line.output_folder import claim_beside
from tracking_tasks.data import packed

FLAGS = flags.FlagValues()
_DATASET = dataset_flags.Dataset(FLAGS)
_LONGEST_SIDE = flags.DEFINE_integer(
    "longest_side",
    None,
    "Shrink larger images to this longer side in pixels; by default none is shrunk.",
    16,
    flag_values=FLAGS,
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "The folder to write; must not exist.", required=True, flag_values=FLAGS
)


def main(_: Sequence[str]) -> None:
    """Runs the program."""
    folder = pathlib.Path(_OUTPUT_DIR.value)
    cli.require_folder(folder.parent)
    packed.require_new(folder)
    claim_beside(folder)
    sequences = _DATASET.read()
    packed.pack(sequences, folder, name=_DATASET.name, longest_side=_LONGEST_SIDE.value)
    dataset = packed.PackedDataset(folder)
    print(f"{len(dataset)} sequences, {dataset.frames} frames of {dataset.name} packed in {folder}")


if __name__ == "__main__":
    cli.run(main, FLAGS)
