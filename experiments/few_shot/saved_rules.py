"""A meta-trained coordinate-wise rule in one file, which fits params of any shapes."""

import json
import pathlib

import metaopt
from basics import tensors
from basics.errors import InputError
from basics.files import parse_json
from basics.leaves import named_leaves, with_leaves

_FORMAT = "metaopt rule 1"


def save(path: pathlib.Path, rule: metaopt.CoordinatewiseRNN, **provenance: object) -> None:
    """Writes the leaves of a rule that was made with one initial rate for all.

    Args:
        path: the file, by convention `*.safetensors`.
        rule: what is saved.
        **provenance: what to keep beside it, JSON-serializable.
    """
    size = rule.head.kernel.shape[1]
    made = {"cell": rule.cell, "output": rule.output, "size": size, "layers": len(rule.stack)}
    metadata = {"format": _FORMAT, "made": json.dumps(made), "provenance": json.dumps(provenance)}
    tensors.write(path, named_leaves(rule), metadata)


def load(path: pathlib.Path) -> metaopt.CoordinatewiseRNN:
    """Reads a rule.

    Raises:
        InputError: if the file is missing, damaged, or no saved rule.
    """
    metadata = tensors.read_metadata(path, _FORMAT, "experiments.few_shot.transfer")
    try:
        rule = metaopt.CoordinatewiseRNN(**parse_json(metadata["made"]))
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"checkpoint {path}: does not say what it holds; save it again") from error
    leaves = tensors.read(path)
    tensors.require_same_shapes(path, leaves, named_leaves(rule), "lstm")
    return with_leaves(rule, leaves)
