"""Meta-parameters of a tracker in one safetensors file, which can hold nothing executable."""

import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

import metaopt
from basics import tensors
from basics.errors import InputError, said_by
from basics.files import parse_json
from basics.leaves import is_part, named_leaves, with_leaves
from tracking_tasks.trackers import TRACKERS, Tracker, history

_FORMAT = "metaopt tracker 2"
_OLD_FORMAT = "metaopt tracker 1"  # whose names are those of `history`
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
    metadata = {
        "format": _FORMAT,
        "tracker": tracker.name,
        "inner_optimizer": rule,
        "backbone": getattr(tracker.backbone, "name", ""),  # one of a user's own may have none
        "config": json.dumps(dataclasses.asdict(tracker.config)),
        "provenance": json.dumps(provenance),
    }
    tensors.write(path, _expected(tracker, with_backbone=fine_tuned), metadata)


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The strings beside the tensors: tracker, inner_optimizer, backbone, config, provenance.

    Raises:
        InputError: if the file is missing, damaged, or not a checkpoint of this project, or if its
            tracker or its rule is unknown.
    """
    metadata = tensors.read_metadata(path, (_FORMAT, _OLD_FORMAT), "experiments.train")
    rules = metaopt.optimizers.names()
    for key, known in (("tracker", TRACKERS), ("inner_optimizer", rules), ("config", None)):
        value = metadata.get(key)
        if value is None or (known is not None and value not in known):
            raise InputError(
                f"checkpoint {path}: "
                + (f"has no {key}" if value is None else f"is of the unknown {key} {value[:40]!r}")
                + "; use one that this version of experiments.train wrote."
            )
    return metadata


def load(
    path: str | os.PathLike[str],
    name: str,
    rule: str | None = None,
    backbone: Any = None,
    change: Callable[[Any], Any] | None = None,
) -> tuple[Tracker, str]:
    """Reads a tracker and the name of its inner optimizer.

    Args:
        path: a file written by `save`.
        name: the tracker that it must be.
        rule: if this differs from the rule in the file, that rule's untrained meta-parameters are
            taken and everything else from the file.
        backbone: as for `Tracker.create`.
        change: makes other constants of those in the file.

    Raises:
        InputError: if the file is missing, damaged, of another tracker or backbone, or does not
            fit the changed constants.
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
    config = _constants(path, metadata)
    make = cls.blank if rule == saved_rule else cls.create
    tracker = make(rule, change(config) if change else config, backbone)
    trained_on, given = metadata.get("backbone"), getattr(tracker.backbone, "name", "")
    if trained_on and given and given != trained_on:
        raise InputError(
            f"checkpoint {path}: was trained on the backbone {trained_on!r}, not {given!r}; pass "
            f"--backbone={trained_on} or another checkpoint."
        )
    # A part that the constants leave out is None: what the file holds of it is not used.
    left_out = tuple(part for part, value in vars(tracker).items() if value is None)
    leaves: dict[str, Any] = {
        key: leaf for key, leaf in _leaves(path, metadata).items() if not is_part(key, left_out)
    }
    fine_tuned = any(is_part(key, _BACKBONE) for key in leaves)
    expected = _expected(tracker, fine_tuned)
    if rule != saved_rule:
        kept = {key for key in expected if not is_part(key, cls.optimizers)}
        leaves = {key: leaves[key] for key in kept & leaves.keys()}
        leaves |= {key: expected[key] for key in expected.keys() - kept}
    if change:  # constants may do without a part that the file holds
        leaves = {key: leaf for key, leaf in leaves.items() if key in expected}
    tensors.require_same_shapes(path, leaves, expected, name)
    return with_leaves(tracker, leaves), rule


def start_from(path: str | os.PathLike[str], tracker: Tracker) -> Tracker:
    """The tracker with every leaf that a checkpoint holds too, in the same shape.

    Its other leaves stay: a checkpoint may lack a part, or be of another inner optimizer.

    Raises:
        InputError: if the file is missing, damaged, or of another tracker or backbone.
    """
    metadata = read_metadata(path)
    for name, own in (("tracker", tracker.name), ("backbone", tracker.backbone.name)):
        if metadata.get(name, own) != own:
            raise InputError(f"checkpoint {path}: is of the {name} {metadata[name]!r}, not {own!r}")
    own_leaves = named_leaves(tracker)
    return with_leaves(
        tracker,
        {
            name: tensor
            for name, tensor in _leaves(path, metadata).items()
            if name in own_leaves and own_leaves[name].shape == tensor.shape
        },
    )


def _constants(path: str | os.PathLike[str], metadata: Mapping[str, str]) -> Any:
    """The config of a checkpoint; raises InputError if it is unreadable."""
    name = metadata["tracker"]
    try:
        constants = parse_json(metadata["config"])
        if metadata["format"] == _OLD_FORMAT:
            constants = history.current_constants(name, constants)
        if not isinstance(constants, dict):
            raise TypeError("it is no object of constants")
        return _restore(TRACKERS[name].config_type, constants)
    except (TypeError, ValueError, AttributeError, KeyError, RecursionError) as error:
        what = said_by(error)
        raise InputError(f"checkpoint {path}: its config is unreadable ({what}).") from error


def _leaves(path: str | os.PathLike[str], metadata: Mapping[str, str]) -> dict[str, np.ndarray]:
    """The tensors of a checkpoint under the names of today."""
    leaves = tensors.read(path)
    if metadata["format"] != _OLD_FORMAT:
        return leaves
    prefix = f"{metadata['tracker']}."
    return {history.current(prefix + name).removeprefix(prefix): x for name, x in leaves.items()}


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
