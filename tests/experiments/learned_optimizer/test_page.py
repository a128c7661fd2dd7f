"""The page of the docs shows the record, and says where the shipped rule comes from."""

import dataclasses
import json
import pathlib

import numpy as np

import metaopt
from basics.leaves import is_part, named_leaves
from experiments.learned_optimizer import meta_training, report, train
from experiments.learned_optimizer.tasks import TRAINING

ROOT = pathlib.Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "learned_optimizer.md").read_text()


def test_the_tables_are_those_of_the_record():
    record = json.loads((ROOT / "docs" / "results" / "learned_optimizer.json").read_text())
    assert report.page(record, ["orthogonal_mlp"]) in PAGE
    assert record["command"] in PAGE


def test_the_shipped_rule_was_made_by_the_command_that_the_page_gives():
    made = json.loads((ROOT / "metaopt" / "weights" / "orthogonal_mlp.json").read_text())
    assert made["command"] in PAGE and f"{made['minutes']:.0f} minutes" in PAGE
    constants = dataclasses.asdict(dataclasses.replace(train.PRESETS["long"], seed=made["seed"]))
    constants |= {"families": list(TRAINING), "rule": "orthogonal_mlp"}
    assert constants == {name: made[name] for name in constants}
    shipped = named_leaves(metaopt.pretrained("orthogonal_mlp"))
    for name, leaf in named_leaves(meta_training.UNTRAINED["orthogonal_mlp"]()).items():
        learned = not is_part(name, meta_training._FROZEN)
        assert np.allclose(shipped[name], leaf, rtol=1e-5) != learned, name
