"""Rules in files: data only, any shapes, read back to the bit."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import safetensors.numpy

import metaopt
from tests.products import chosen

PARAMS = {"w": jnp.ones((2, 3)), "b": [jnp.ones(3), (jnp.ones(()), None)]}


def equal(left, right):
    assert type(left) is type(right)
    a, b = jax.tree.leaves(left), jax.tree.leaves(right)
    assert [(x.shape, x.dtype) for x in a] == [(x.shape, x.dtype) for x in b]
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize(
    ("name",),
    chosen(
        zip(metaopt.optimizers.names()),
        [("adam",), ("gauss_newton",), ("learned_rates",), ("lstm",), ("none",)],
    ),
)
def test_every_rule_comes_back(name, tmp_path):
    rule = metaopt.optimizers.make(name, PARAMS, steps=2, rate=0.1)
    rule = jax.tree.map(lambda leaf: 1.1 * leaf, rule)
    metaopt.save(tmp_path / "rule", rule)
    back = metaopt.load(tmp_path / "rule")
    equal(back, rule)
    loss = metaopt.LeastSquares(lambda p, _: p)
    fit = lambda rule: metaopt.fit(rule, loss, PARAMS, (), steps=2).losses
    np.testing.assert_array_equal(fit(back), fit(rule))


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32, jnp.int32, bool])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_leaves_of_any_dtype_and_shape(dtype, shape, tmp_path):
    rule = metaopt.LearnedRates(jnp.ones(2), steps=1)
    rule = rule.replace(rates={2: [jnp.ones(shape, dtype)], 3: jnp.zeros(shape, dtype)})
    metaopt.save(tmp_path / "rule", rule)
    equal(metaopt.load(tmp_path / "rule"), rule)


def test_other_readers_of_the_format_find_the_arrays_by_their_paths(tmp_path):
    metaopt.save(tmp_path / "rule", metaopt.LearnedRates({"w": jnp.ones((2, 3))}, steps=4))
    arrays = safetensors.numpy.load_file(tmp_path / "rule")
    np.testing.assert_array_equal(arrays["rates.w"], np.full((4, 2, 3), 0.01, np.float32))


class Own(metaopt.InnerOptimizer):
    rates: dict
    kind: str = metaopt.static()
    sizes: tuple = metaopt.static(default=(1, 2.5, "a"))

    def init(self, params):
        return ()

    def step(self, objective, params, state, batch):
        return params, state


def test_a_rule_of_one_s_own_once_it_is_imported(tmp_path):
    rule = Own({"a": jnp.arange(3.0)}, "plain")
    metaopt.save(tmp_path / "rule", rule)
    back = metaopt.load(tmp_path / "rule")
    equal(back, rule)
    assert (back.kind, back.sizes) == ("plain", (1, 2.5, "a"))
    data = (tmp_path / "rule").read_bytes().replace(b"test_files.Own", b"test_files.Not")
    (tmp_path / "rule").write_bytes(data)
    with pytest.raises(ValueError, match="import the module"):
        metaopt.load(tmp_path / "rule")


def test_what_is_no_data_comes_from_a_rule_made_alike(tmp_path):
    adam = optax.inject_hyperparams(optax.adam, static_args=("b2", "eps", "eps_root"))
    make = lambda rate: metaopt.GradientDescent(adam(learning_rate=rate))
    metaopt.save(tmp_path / "rule", make(0.3))
    with pytest.raises(ValueError, match=r"transformation holds a Gradient.*like=\.\.\."):
        metaopt.load(tmp_path / "rule")
    back = metaopt.load(tmp_path / "rule", like=make(0.1))
    assert back.hyperparams["learning_rate"] == np.float32(0.3)
    with pytest.raises(ValueError, match="`like` is a SteepestDescent"):
        metaopt.load(tmp_path / "rule", like=metaopt.SteepestDescent())


@pytest.mark.parametrize("data", [b"", b"nothing", b"\x08" + 7 * b"\0" + b"[1, 2]  "])
def test_any_other_file_is_refused(data, tmp_path):
    (tmp_path / "rule").write_bytes(data)
    with pytest.raises(ValueError, match="holds no rule"):
        metaopt.load(tmp_path / "rule")


def test_a_truncated_file_is_refused(tmp_path):
    metaopt.save(tmp_path / "rule", metaopt.LearnedRates(jnp.ones(9), steps=4))
    (tmp_path / "rule").write_bytes((tmp_path / "rule").read_bytes()[:-8])
    with pytest.raises(ValueError, match="holds no rule"):
        metaopt.load(tmp_path / "rule")


def test_a_pretrained_rule_is_found_by_name_and_an_unknown_one_lists_the_known(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(metaopt._files.importlib.resources, "files", lambda _: tmp_path)
    with pytest.raises(ValueError, match="no pretrained rule 'best'; known are none"):
        metaopt.pretrained("best")
    (tmp_path / "weights").mkdir()
    rule = metaopt.CoordinatewiseRNN(size=3)
    metaopt.save(tmp_path / "weights" / "good.safetensors", rule)
    equal(metaopt.pretrained("good"), rule)
    with pytest.raises(ValueError, match="known are good"):
        metaopt.pretrained("best")


def test_the_file_holds_json_and_arrays_and_nothing_else(tmp_path):
    metaopt.save(tmp_path / "rule", metaopt.SteepestDescent(0.5))
    data = (tmp_path / "rule").read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    assert header["log_step"] == {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}
    assert data[8 + size :] == np.float32(0.5).tobytes()
