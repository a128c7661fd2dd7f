"""The MAML meta-gradient in PyTorch, for comparison."""

from collections.abc import Callable, Sequence

import jax
import numpy as np

from models import FewShotClassifier

try:
    import torch
    from torch.nn import functional
except ImportError:
    torch = None  # type: ignore[assignment]


def missing() -> str:
    """Why there is nothing to compare with; empty if there is."""
    if torch is None:
        return "PyTorch is not installed: the comparison with it was left out (extra `benchmark`)."
    if jax.default_backend() == "gpu" and not torch.cuda.is_available():
        return "This PyTorch has no GPU: the comparison with it was left out."
    return ""


def description() -> str:
    """Which PyTorch, on what."""
    return f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads, {_device()}"


def _device() -> str:
    return "cuda" if jax.default_backend() == "gpu" else "cpu"


def arrays(model: FewShotClassifier) -> list[np.ndarray]:
    """Its parameters, or a gradient by them, as PyTorch lays them out."""
    blocks = [
        leaf
        for block in model.blocks
        for leaf in (np.transpose(block.kernel[...], (3, 2, 0, 1)), block.scale, block.offset)
    ]
    return [np.array(leaf) for leaf in (*blocks, np.transpose(model.kernel[...]), model.bias)]


def meta_gradient(
    model: FewShotClassifier, episodes: tuple, steps: int, rate: float
) -> Callable[[], list[np.ndarray]]:
    """A computation of the mean gradient over tasks, by the model's parameters as in `arrays`.

    The tasks one after the other, each with `torch.autograd.grad(create_graph=True)`: of the ways
    tried the fastest on the CPU, ahead of one graph for all tasks, of channels last, and of vmap
    over tasks.

    Args:
        model: the initial classifier.
        episodes: support and query, each images (tasks, n, h, w, c) and classes (tasks, n).
        steps: inner steps of gradient descent.
        rate: their length.
    """
    initial = [torch.tensor(a, device=_device(), requires_grad=True) for a in arrays(model)]
    batches = [
        (
            torch.tensor(np.moveaxis(images, -1, 2), device=_device()),
            torch.tensor(np.asarray(classes), dtype=torch.long, device=_device()),
        )
        for images, classes in episodes
    ]

    def one(support: tuple, query: tuple) -> Sequence:
        params = initial
        for _ in range(steps):
            gradient = torch.autograd.grad(_loss(params, support), params, create_graph=True)
            params = [p - rate * g for p, g in zip(params, gradient, strict=True)]
        return torch.autograd.grad(_loss(params, query), initial)

    def mean() -> list[np.ndarray]:
        tasks = len(batches[0][0])
        each = [one(*[(x[task], y[task]) for x, y in batches]) for task in range(tasks)]
        return [(sum(leaves) / tasks).cpu().numpy() for leaves in zip(*each, strict=True)]

    return mean


def _loss(params: Sequence, batch: tuple):
    x, classes = batch
    *blocks, kernel, bias = params
    for index in range(0, len(blocks), 3):
        weight, scale, offset = blocks[index : index + 3]
        x = functional.conv2d(x, weight, padding=1)
        x = functional.batch_norm(x, None, None, scale, offset, training=True)
        x = functional.max_pool2d(functional.relu(x), 2)
    x = x.permute(0, 2, 3, 1).flatten(1)
    return functional.cross_entropy(functional.linear(x, kernel, bias), classes)
