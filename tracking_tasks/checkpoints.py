"""Meta-parameters of a tracker in one safetensors file, which can hold nothing executable."""

import dataclasses
import json
import os
import pathlib
from typing import Any

import jax
import numpy as np
import safetensors
import safetensors.numpy

from tracking_tasks.errors import InputError
from tracking_tasks.files import write_atomic
from tracking_tasks.leaves import is_part, named_leaves, with_leaves
from tracking_tasks.trackers import TRACKERS, Tracker

_FORMAT = "metaopt tracker 1"
_BACKBONE = ("backbone",)


def save(
    path: str | os.PathLike[str],
    tracker: Tracker,
    rule: str,
    *,
    fine_tuned: bool = False,
    **provenance: Any,
) -> None:
    """Writes the leaves, the constants, and where they come from.

    Args:
        path: the file, by convention `*.safetensors`.
        tracker: whose meta-parameters are written.
        rule: the name of its inner optimizer.
        fine_tuned: write the backbone's leaves too, because they were meta-trained.
        **provenance: what to keep beside them (command, seed, data, time), JSON-serializable.
    """
    leaves = _expected(tracker, with_backbone=fine_tuned)
    tensors = {name: np.asarray(leaf) for name, leaf in leaves.items()}
    metadata = {
        "format": _FORMAT,
        "tracker": tracker.name,
        "inner_optimizer": rule,
        "backbone": getattr(tracker.backbone, "name", ""),  # one of a user's own may have none
        "config": json.dumps(dataclasses.asdict(tracker.config)),
        "provenance": json.dumps(provenance),
    }
    write_atomic(path, safetensors.numpy.save(tensors, metadata))


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The strings beside the tensors: tracker, inner_optimizer, backbone, config, provenance.

    Raises:
        InputError: if the file is missing, damaged, or not a checkpoint of this project.
    """
    if not pathlib.Path(path).is_file():
        raise InputError(f"checkpoint {path}: no such file; `experiments.train` writes one.")
    try:
        with safetensors.safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
    except (safetensors.SafetensorError, OSError) as error:
        raise InputError(
            f"checkpoint {path}: truncated or not a safetensors file ({error}); copy it again."
        ) from error
    if metadata.get("format") != _FORMAT:
        raise InputError(f"checkpoint {path}: not written by `experiments.train`; use one that is.")
    return metadata


def load(
    path: str | os.PathLike[str],
    name: str,
    rule: str | None = None,
    backbone: Any = None,
) -> tuple[Tracker, str]:
    """Reads a tracker and the name of its inner optimizer.

    Args:
        path: a file written by `save`.
        name: the tracker that it must be.
        rule: if this differs from the rule in the file, that rule's untrained meta-parameters are
            taken and everything else from the file.
        backbone: as for `Tracker.create`.

    Raises:
        InputError: if the file is missing, damaged, or of another tracker or backbone.
    """
    metadata = read_metadata(path)
    if metadata["tracker"] != name:
        raise InputError(
            f"checkpoint {path}: holds the tracker {metadata['tracker']!r}, not {name!r}; "
            f"pass --tracker={metadata['tracker']} or another checkpoint."
        )
    cls = TRACKERS[name]
    saved_rule = metadata["inner_optimizer"]
    rule = rule or saved_rule
    try:
        config = _restore(cls.config_type, json.loads(metadata["config"]))
    except (TypeError, ValueError) as error:
        raise InputError(f"checkpoint {path}: its config is unreadable ({error}).") from error
    tracker = cls.create(rule, config, backbone)
    trained_on, given = metadata.get("backbone"), getattr(tracker.backbone, "name", "")
    if trained_on and given and given != trained_on:
        raise InputError(
            f"checkpoint {path}: was trained on the backbone {trained_on!r}, not {given!r}; pass "
            f"--backbone={trained_on} or another checkpoint."
        )
    tensors = safetensors.numpy.load_file(path)
    fine_tuned = any(is_part(key, _BACKBONE) for key in tensors)
    expected = _expected(tracker, fine_tuned)
    if rule != saved_rule:
        kept = {key for key in expected if not key.startswith("optimizer.")}
        tensors = {key: tensors[key] for key in kept & tensors.keys()}
        tensors |= {key: np.asarray(expected[key]) for key in expected.keys() - kept}
    mismatched = {
        key
        for key in expected.keys() | tensors.keys()
        if key not in expected
        or key not in tensors
        or np.shape(expected[key]) != tensors[key].shape
    }
    if mismatched:
        raise InputError(
            f"checkpoint {path}: does not fit this version of {name!r} "
            f"(differs in {', '.join(sorted(mismatched)[:3])}); train it again."
        )
    return with_leaves(tracker, tensors), rule


def _expected(tracker: Tracker, with_backbone: bool) -> dict[str, jax.Array]:
    """What a checkpoint of the tracker holds."""
    leaves = named_leaves(tracker)
    return {
        key: leaf for key, leaf in leaves.items() if with_backbone or not is_part(key, _BACKBONE)
    }


def _restore(cls: Any, values: Any) -> Any:
    """Undoes `dataclasses.asdict` and JSON: nested dataclasses, and lists back to tuples."""
    if isinstance(values, list):
        return tuple(_restore(None, value) for value in values)
    if not dataclasses.is_dataclass(cls):
        return values
    types = {field.name: field.type for field in dataclasses.fields(cls)}
    return cls(**{name: _restore(types.get(name), value) for name, value in values.items()})  # type: ignore[operator]
