"""Random weights of ResNets in torchvision's naming."""

import functools

import numpy as np

BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}


def shapes(name):
    """Every tensor of torchvision's state dict but the counts of batches."""
    found = {"conv1.weight": (64, 3, 7, 7)} | norm("bn1", 64)
    inputs, grow = 64, 1 if name == "resnet18" else 4
    for stage, count in enumerate(BLOCKS[name], 1):
        width = 32 * 2**stage
        for block in range(count):
            prefix = f"layer{stage}.{block}."
            if name == "resnet18":
                kernels = [(width, inputs, 3, 3), (width, width, 3, 3)]
            else:
                kernels = [(width, inputs, 1, 1), (width, width, 3, 3), (4 * width, width, 1, 1)]
            for number, kernel in enumerate(kernels, 1):
                found[f"{prefix}conv{number}.weight"] = kernel
                found |= norm(f"{prefix}bn{number}", kernel[0])
            if inputs != grow * width:
                found[f"{prefix}downsample.0.weight"] = (grow * width, inputs, 1, 1)
                found |= norm(f"{prefix}downsample.1", grow * width)
                inputs = grow * width
    return found | {"fc.weight": (1000, inputs), "fc.bias": (1000,)}


def norm(name, channels):
    return {
        f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")
    }


@functools.cache
def state_dict(name):
    """Random weights that keep the features' size; few of them need the last stage's."""
    random = np.random.default_rng(0)

    def draw(key, shape):
        if key.endswith(("running_var", "bn1.weight", "bn2.weight")):
            return random.uniform(0.5, 1.5, shape)
        if len(shape) == 4:
            return random.normal(0, np.sqrt(1 / np.prod(shape[1:])), shape)
        return random.normal(0.3, 0.2, shape)

    kept = {k: s for k, s in shapes(name).items() if not k.startswith(("layer4", "fc.weight"))}
    return {key: draw(key, shape).astype(np.float32) for key, shape in kept.items()}
