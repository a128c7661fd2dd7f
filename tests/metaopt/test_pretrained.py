"""The rule that the package brings."""

import importlib.resources

import jax
import numpy as np
import pytest

import metaopt


def test_it_is_an_orthogonal_mlp_of_any_number_of_steps_in_a_small_file():
    rule = metaopt.pretrained("orthogonal_mlp")
    assert type(rule) is metaopt.OrthogonalMLP
    shapes = lambda rule: [leaf.shape for leaf in jax.tree.leaves(rule)]
    assert shapes(rule) == shapes(metaopt.OrthogonalMLP(1.0))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(rule))
    path = importlib.resources.files("metaopt") / "weights" / "orthogonal_mlp.safetensors"
    assert len(path.read_bytes()) < 20_000
    with pytest.raises(ValueError, match="no pretrained rule 'velo'; known are orthogonal_mlp"):
        metaopt.pretrained("velo")
