"""MAML's meta-gradient: its value, that of PyTorch, and the suite that times both."""

import functools
import json

import jax
import numpy as np
import pytest

import metaopt
from experiments import benchmark
from experiments.benchmarks import maml, maml_in_torch, meta_gradient, meta_problems
from tests.experiments.programs import run

jax.devices()  # JAX has started: a suite cannot change the devices of the tests that follow

SMALL = meta_gradient.PRESETS["smoke"].sizes


@pytest.mark.full
def test_without_pytorch_the_suite_says_so_and_times_ours(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(maml_in_torch, "torch", None)
    flags = "--suite=maml", "--preset=smoke", "--repeats=1", f"--output_dir={tmp_path}"
    assert run(benchmark, *flags) == 0
    rows = json.loads((tmp_path / "results.json").read_text())["comparisons"]
    assert [row["case"]["problem"] for row in rows] == ["2-way 1-shot", "3-way 1-shot"]
    assert all(row["milliseconds"]["ours"]["minimum"] > 0 for row in rows)
    left_out = [line for line in capsys.readouterr().out.splitlines() if "PyTorch" in line]
    assert left_out == [maml_in_torch.missing()]


@pytest.mark.parametrize("ways", [5, 20])
def test_the_full_preset_has_the_sizes_of_maml_on_omniglot(ways):
    full, sizes = maml.PRESETS["full"], meta_gradient.PRESETS["full"].sizes
    assert (full.ways, full.steps, full.tasks) == ((5, 20), 5, 4)
    (support, classes), (query, _) = meta_problems.episodes(sizes, full.tasks, ways)
    assert support.shape == (4, ways, 28, 28, 1)
    assert query.shape == (4, 15 * ways, 28, 28, 1)
    assert classes[0].tolist() == list(range(ways))
    model = meta_problems.classifier(sizes, ways)
    assert [block.scale[...].size for block in model.blocks] == [64] * 4
    assert model.bias.shape == (ways,)


@pytest.mark.full
def test_the_meta_gradient_of_maml_is_the_mean_over_tasks():
    model, batch = meta_problems.classifier(SMALL), meta_problems.episodes(SMALL, 3)
    rule = meta_problems.problems(SMALL)["classifier, gradient descent"].meta[0]
    fit = functools.partial(metaopt.fit, steps=2)

    def mean_loss(model):
        of_task = lambda episode: meta_problems.maml((rule, model), episode, fit)
        return jax.vmap(of_task)(batch).mean()

    expected = jax.jit(jax.grad(mean_loss))(model)
    actual = maml.gradient(model, batch, steps=2)()
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)
    jax.tree.map(close, actual, expected)


@pytest.mark.parametrize("ways", [2, 5])
def test_the_meta_gradient_of_maml_is_that_of_pytorch(ways):
    pytest.importorskip("torch")
    model, batch = meta_problems.classifier(SMALL, ways), meta_problems.episodes(SMALL, 2, ways)
    assert maml.difference_in_float64(model, batch, steps=2) < 1e-10
