"""Packed data sets: annotated sequences in array_record files, made for random access in training.

A packed folder holds two TFDS data sets that `tfds.builder_from_directory` opens as well:
`frames/`, a record an image, and `sequences/`, a record a target: its name, its boxes, and at which
record its frames begin. So a few frames of a long video cost a few reads. `packed.json` says what
was packed and how large each file is, by which damage is noticed at once.
"""

from tracking_tasks.data.packed.reading import PackedDataset as PackedDataset
from tracking_tasks.data.packed.reading import PackedSequence as PackedSequence
from tracking_tasks.data.packed.writing import pack as pack
from tracking_tasks.data.packed.writing import require_new as require_new
