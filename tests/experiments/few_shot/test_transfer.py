"""A learned optimizer is saved, loaded, and trains networks that it has never seen."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import metaopt
from basics import tensors
from basics.errors import InputError
from basics.leaves import named_leaves
from experiments.few_shot import from_scratch, saved_rules, transfer
from tests.experiments import programs


def test_a_saved_rule_comes_back_bit_for_bit_and_fits_other_shapes(tmp_path):
    rule = metaopt.CoordinatewiseRNN(
        "gru", output="update", size=3, layers=1, scale=0.2, key=jax.random.key(5)
    )
    saved_rules.save(tmp_path / "rule.safetensors", rule, outer_steps=7)
    loaded = saved_rules.load(tmp_path / "rule.safetensors")
    assert (loaded.cell, loaded.output) == ("gru", "update")
    for name, leaf in named_leaves(rule).items():
        np.testing.assert_array_equal(named_leaves(loaded)[name], leaf)
    objective = metaopt.ScalarLoss(lambda params, _: jnp.sum(params["a"] ** 2) + params["b"] ** 2)
    for shape in [(2,), (3, 4)]:
        params = {"a": jnp.ones(shape), "b": jnp.ones(())}
        assert (
            metaopt.fit(loaded, objective, params, jnp.zeros(1), steps=1).params["a"].shape == shape
        )


def test_files_that_hold_no_rule_are_refused(tmp_path):
    path = tmp_path / "rule.safetensors"
    with pytest.raises(InputError, match="no such file"):
        saved_rules.load(path)
    for made in ["no json", '{"cell": "transformer"}', '{"depth": 3}']:
        tensors.write(path, {"a": np.ones(1)}, {"format": "metaopt rule 1", "made": made})
        with pytest.raises(InputError, match="does not say what it holds"):
            saved_rules.load(path)
    tensors.write(path, {"a": np.ones(1)}, {"format": "metaopt rule 1", "made": '{"cell": "lstm"}'})
    with pytest.raises(InputError, match="does not fit"):
        saved_rules.load(path)


def test_steps_to_a_loss():
    curve = jnp.array([4.0, 3.0, 1.0, 2.0])
    assert [from_scratch.steps_to(curve, loss) for loss in (5, 3, 2, 0.5)] == [0, 1, 2, None]


@pytest.mark.full
def test_the_program_compares_on_both_families(tmp_path, capsys, monkeypatch):
    rates = {name: (make, np.array([0.01, 0.1])) for name, (make, _) in transfer._RATES.items()}
    monkeypatch.setattr(transfer, "_RATES", rates)
    sizes = ["--outer_steps=2", "--trained_steps=2", "--steps=3", "--problems=2"]
    assert programs.run(transfer, f"--output_dir={tmp_path}", *sizes) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert set(results) == {"sine waves", "digits"}
    for result in results.values():
        curves = result["losses"]
        assert {len(curve) for curve in curves.values()} == {4}
        assert len({curve[0] for curve in curves.values()}) == 1  # the same networks
        assert curves["SGD"][-1] == result["goal"] < curves["SGD"][0]
        assert result["rates"]["SGD"] == pytest.approx(0.1)
    np.testing.assert_allclose(results["digits"]["losses"]["SGD"][0], np.log(10), rtol=0.05)
    assert (tmp_path / "losses.png").exists() and "is reached by" in capsys.readouterr().out
    assert saved_rules.load(tmp_path / "rule.safetensors").output == "update"


def test_a_damaged_rule_is_one_line(tmp_path, capsys):
    path = tmp_path / "rule.safetensors"
    path.write_bytes(b"nothing of the kind")
    assert programs.run(transfer, f"--rule={path}", f"--output_dir={tmp_path / 'out'}") == 1
    assert "not a safetensors file" in programs.error_line(capsys)
