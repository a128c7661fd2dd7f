"""What a rule says of itself, the register, and rules that cannot be made."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import metaopt
from tests.products import chosen

PARAMS = {"w": jnp.ones((2, 3)), "b": jnp.ones(3)}
LARGER = {"w": jnp.ones((4, 3)), "b": jnp.ones(3), "c": jnp.ones(())}
# learned, reads_magnitudes, reads_loss, needs_curvature, fits_any_shapes
TRAITS = {
    "adam": (False, False, False, False, True),
    "gauss_newton": (False, False, False, True, True),
    "gradient_descent": (False, False, False, False, True),
    "gradient_network": (True, False, False, False, False),
    "gru": (True, True, True, False, True),
    "learned_rates": (True, False, False, False, False),
    "levenberg_marquardt": (False, False, True, True, True),
    "lstm": (True, True, True, False, True),
    "mlp": (True, True, True, False, True),
    "none": (False, False, False, False, True),
    "orthogonal_mlp": (True, False, False, False, True),
    "steepest_descent": (True, False, False, True, True),
}


def make(name):
    return metaopt.optimizers.make(name, PARAMS, steps=2, rate=0.1)


@pytest.mark.parametrize("name", TRAITS)
def test_the_traits_of_every_registered_rule(name):
    rule = make(name)
    reads = rule.reads_magnitudes, rule.reads_loss
    assert (rule.learned, *reads, rule.needs_curvature, rule.fits_any_shapes) == TRAITS[name]


def test_no_registered_rule_is_without_traits():
    assert metaopt.optimizers.names() == tuple(sorted(TRAITS))


@pytest.mark.parametrize(
    ("name",), chosen(zip(TRAITS), [("adam",), ("gauss_newton",), ("lstm",), ("none",)])
)
def test_a_rule_that_says_so_serves_other_shapes(name):
    rule = make(name)
    if rule.fits_any_shapes:
        loss = metaopt.LeastSquares(lambda p, _: p)
        fitted = metaopt.fit(rule, loss, LARGER, (), steps=2)
        assert fitted.losses[-1] < fitted.losses[0] or name == "none"


def test_the_first_rates_on_other_shapes_are_the_mean_of_the_learned_ones():
    rule = make("lstm")
    rule = rule.replace(initial_rates={"w": jnp.full((2, 3), 0.1), "b": jnp.full(3, 0.4)})
    emitted = rule.init(LARGER).emitted
    np.testing.assert_allclose(emitted, np.full(16, (6 * 0.1 + 3 * 0.4) / 9), rtol=1e-6)
    np.testing.assert_allclose(rule.init(PARAMS).emitted, [0.4] * 3 + [0.1] * 6, rtol=1e-6)


def test_only_a_rate_set_by_hand_is_scaled():
    rule = make("gradient_descent").with_scaled_rate(0.5)
    np.testing.assert_allclose(rule.hyperparams["learning_rate"], 0.05)
    for same in (make("lstm"), metaopt.GradientDescent(optax.sgd(0.1))):
        assert same.with_scaled_rate(0.5) is same


def test_learned_rates_are_shown_and_others_have_none():
    rates = jax.tree.map(lambda leaf: jnp.arange(float(leaf.size)).reshape(leaf.shape), PARAMS)
    rule = metaopt.LearnedRates(PARAMS, steps=1).replace(rates=rates)
    np.testing.assert_array_equal(rule.learned_rates(), [0, 1, 2, 0, 1, 2, 3, 4, 5])
    assert make("lstm").learned_rates() is None and make("adam").learned_rates() is None


def test_a_known_name_is_not_registered_again():
    with pytest.raises(ValueError, match=r"'adam' already, by metaopt.optimizers.gradient"):
        metaopt.optimizers.register("adam")(lambda params, *, steps, rate: None)


def test_the_rule_of_an_installed_package_is_among_the_names(tmp_path, monkeypatch):
    """As its metadata says, without an import of it."""
    base = metaopt.optimizers._base
    (tmp_path / "strangers_rule.py").write_text(
        "import metaopt, optax\n"
        "@metaopt.optimizers.register('strange')\n"
        "def _(params, *, steps, rate): return metaopt.GradientDescent(optax.sgd(rate))\n"
    )
    info = tmp_path / "stranger-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[metaopt.optimizers]\nstrange = strangers_rule\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(base, "_FACTORIES", dict(base._FACTORIES))
    base._import_entry_points.cache_clear()
    assert "strange" in metaopt.optimizers.names()
    assert metaopt.optimizers.make("strange", PARAMS, steps=1, rate=0.1).learned is False
    sys.modules.pop("strangers_rule")


class NoStep(metaopt.InnerOptimizer):
    def init(self, params):
        return ()


class NoInit(metaopt.InnerOptimizer):
    def step(self, objective, params, state, batch):
        return params, state


class NoLoss(metaopt.Objective):
    pass


@pytest.mark.parametrize(
    "unfinished, missing", [(NoStep, "step"), (NoInit, "init"), (NoLoss, "loss")]
)
def test_what_lacks_a_method_of_the_contract_cannot_be_made(unfinished, missing):
    with pytest.raises(TypeError, match=missing):
        unfinished()


def test_rates_become_coarser_as_the_mean_of_those_that_they_stand_for():
    fine = make("learned_rates")
    fine = fine.replace(rates={"w": jnp.arange(12.0).reshape(2, 2, 3), "b": jnp.ones((2, 3))})
    per_tensor = fine.with_granularity("tensor")
    np.testing.assert_allclose(per_tensor.rates["w"], [[[2.5]], [[8.5]]])
    np.testing.assert_allclose(per_tensor.rates["b"], [[1.0], [1.0]])
    np.testing.assert_allclose(fine.with_granularity("scalar").rates, [2.0, 6.0])
    assert per_tensor.with_granularity("tensor") is per_tensor and per_tensor.fits_any_shapes
    assert make("adam").with_granularity("tensor").learned_rates() is None
    with pytest.raises(ValueError, match="coarser only"):
        per_tensor.with_granularity("parameter")
    with pytest.raises(ValueError, match="per layer: known are"):
        fine.with_granularity("layer")
