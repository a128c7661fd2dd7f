"""Random weights of VGG-16 in torchvision's naming."""

import numpy as np

# Configuration D of the paper, in torchvision's numbering of layers: M is pooling.
LAYERS = [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"]


def state_dict(thinner=1):
    """Random weights that keep the features' size; a network with fewer channels is quick."""
    random = np.random.default_rng(0)
    found, index, inputs = {}, 0, 3
    for layer in LAYERS:
        if layer == "M":
            index += 1
            continue
        width = layer // thinner
        kernel = random.normal(0, np.sqrt(2 / (9 * inputs)), (width, inputs, 3, 3))
        found[f"features.{index}.weight"] = kernel.astype(np.float32)
        found[f"features.{index}.bias"] = random.normal(0, 0.1, width).astype(np.float32)
        inputs = width
        index += 2
    return found
