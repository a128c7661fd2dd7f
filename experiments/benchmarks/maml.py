"""The meta-gradient of MAML, this project's and PyTorch's, on tasks of Omniglot's size."""

import contextlib
import dataclasses
import functools
import math
import os
from collections.abc import Callable

import jax
import numpy as np
import optax
from jax.sharding import PartitionSpec
from jaxtyping import PyTree

import metaopt
from experiments.benchmarks import maml_in_torch
from experiments.benchmarks.meta_gradient import PRESETS as SIZES
from experiments.benchmarks.meta_problems import RATE, classifier, episodes, maml
from experiments.benchmarks.report import Comparison, Report
from experiments.benchmarks.timing import interleaved, relative_difference


@dataclasses.dataclass(frozen=True)
class Preset:
    """What is measured.

    Attributes:
        ways: numbers of classes.
        steps: of the inner loop.
        tasks: in a batch.
    """

    ways: tuple[int, ...]
    steps: int
    tasks: int


PRESETS = {"smoke": Preset((2, 3), steps=2, tasks=2), "full": Preset((5, 20), steps=5, tasks=4)}


def run(preset: str, repeats: int) -> Report:
    """Times the mean gradient over a batch of tasks by number of ways, beside PyTorch's."""
    _one_device_a_core()
    rows = [_by_ways(preset, ways, repeats) for ways in PRESETS[preset].ways]
    reason = maml_in_torch.missing()
    note = reason or (
        f"PyTorch: the same computation in {maml_in_torch.description()}; difference: of the two "
        "meta-gradients in float64, where no rounding turns a maximum; ratios are of minima."
    )
    return Report(rows, [note])


def _one_device_a_core() -> None:
    """Lets the CPU count as a device for each core, for tasks in parallel."""
    with contextlib.suppress(RuntimeError):  # JAX has started: it goes on with what it has
        jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)


def _by_ways(preset: str, ways: int, repeats: int) -> Comparison:
    chosen, sizes = PRESETS[preset], SIZES[preset].sizes
    model, batch = classifier(sizes, ways), episodes(sizes, chosen.tasks, ways)
    calls = {"ours": gradient(model, batch, chosen.steps)}
    beside = not maml_in_torch.missing()
    if beside:
        calls["PyTorch"] = maml_in_torch.meta_gradient(model, batch, chosen.steps, RATE)
    measured = interleaved(calls, repeats, f"MAML, {ways} ways")
    numbers = {}
    if beside:
        numbers = {
            "PyTorch / ours": measured["PyTorch"].minimum / measured["ours"].minimum,
            "difference": difference_in_float64(model, batch, chosen.steps),
        }
    return Comparison(
        case={"problem": f"{ways}-way 1-shot", "tasks": chosen.tasks, "steps": chosen.steps},
        times=measured,
        numbers=numbers,
    )


def gradient(model: PyTree, batch: PyTree, steps: int) -> Callable[[], PyTree]:
    """A computation of the mean gradient over tasks by the model.

    The tasks are dealt out to the devices. On the CPU each takes one after the other, which is
    faster than all at once: its caches hold the activations of one.
    """
    mesh = jax.make_mesh((math.gcd(_count(batch), jax.device_count()),), ("tasks",))
    one_by_one = jax.default_backend() == "cpu"
    rule = metaopt.GradientDescent(optax.sgd(RATE))
    adjoint = metaopt.Unrolled(remat=False)  # five steps fit into memory
    fit = functools.partial(metaopt.fit, steps=steps, adjoint=adjoint)

    def mean(model: PyTree, batch: PyTree) -> PyTree:
        by_model = jax.grad(lambda model, episode: maml((rule, model), episode, fit))
        of_task = lambda episode: by_model(model, episode)
        each = jax.lax.map(of_task, batch) if one_by_one else jax.vmap(of_task)(batch)
        return jax.lax.pmean(jax.tree.map(lambda leaf: leaf.mean(0), each), "tasks")

    everywhere, dealt_out = PartitionSpec(), PartitionSpec("tasks")
    sharded = jax.shard_map(
        mean, mesh=mesh, in_specs=(everywhere, dealt_out), out_specs=everywhere, check_vma=False
    )
    arguments = (
        jax.device_put(model, jax.NamedSharding(mesh, everywhere)),
        jax.device_put(batch, jax.NamedSharding(mesh, dealt_out)),
    )
    return functools.partial(jax.jit(sharded), *arguments)


def difference_in_float64(model: PyTree, batch: PyTree, steps: int) -> float:
    """Between this project's meta-gradient and PyTorch's, relative to the largest magnitude."""
    with jax.enable_x64(True):
        widen = lambda leaf: np.asarray(leaf, float) if leaf.dtype == np.float32 else leaf
        model, batch = jax.tree.map(widen, (model, batch))
        ours = maml_in_torch.arrays(gradient(model, batch, steps)())
        return relative_difference(ours, maml_in_torch.meta_gradient(model, batch, steps, RATE)())


def _count(batch: PyTree) -> int:
    """The number of tasks."""
    return len(jax.tree.leaves(batch)[0])
