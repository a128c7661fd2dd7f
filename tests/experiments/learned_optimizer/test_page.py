"""The page of the docs shows the record, and says where the shipped rule comes from."""

import json
import pathlib

import jax
import numpy as np

import metaopt
from basics.leaves import named_leaves
from experiments.learned_optimizer import meta_training, report

ROOT = pathlib.Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "learned_optimizer.md").read_text()


def test_the_tables_are_those_of_the_record():
    record = json.loads((ROOT / "docs" / "results" / "learned_optimizer.json").read_text())
    assert report.page(record, ["orthogonal_mlp"]) in PAGE
    assert record["command"] in PAGE


def test_the_shipped_rule_is_the_untrained_one_as_the_page_says():
    path = ROOT / "metaopt" / "weights" / "orthogonal_mlp.json"
    made = json.loads(path.read_text())
    assert made["rule"] in PAGE and made["seed"] == 0 and made["minutes of meta-training"] == 0
    same = metaopt.OrthogonalMLP(1000.0, rate=0.12, key=jax.random.key(made["seed"]))
    shipped = named_leaves(metaopt.pretrained("orthogonal_mlp"))
    for name, leaf in named_leaves(same).items():
        np.testing.assert_allclose(shipped[name], leaf, rtol=1e-5, err_msg=name)
    for name, leaf in named_leaves(meta_training.untrained()).items():
        np.testing.assert_allclose(shipped[name], leaf, rtol=1e-5, err_msg=name)
