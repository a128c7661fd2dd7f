"""The meta-gradient of MAML, this project's and PyTorch's."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax
from jax.sharding import PartitionSpec
from jaxtyping import PyTree

import metaopt
from experiments.benchmarks import maml_in_torch
from experiments.benchmarks.meta_problems import RATE, WAYS, maml
from experiments.benchmarks.report import Comparison
from experiments.benchmarks.timing import interleaved, relative_difference


def beside_torch(model: PyTree, batch: PyTree, steps: int, repeats: int) -> Comparison:
    """Times the mean gradient over a batch of tasks, by this project and by PyTorch."""
    calls: dict[str, Callable[[], Any]] = {
        "ours": gradient(model, batch, steps),
        "PyTorch": maml_in_torch.meta_gradient(model, batch, steps, RATE),
    }
    measured = interleaved(calls, repeats, "MAML")
    return Comparison(
        case={"problem": f"MAML, {WAYS}-way 1-shot", "tasks": _count(batch), "steps": steps},
        times=measured,
        numbers={
            "PyTorch / ours": measured["PyTorch"].minimum / measured["ours"].minimum,
            "difference": difference_in_float64(model, batch, steps),
        },
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
