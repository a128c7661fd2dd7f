"""Random weights of EfficientNet-Lite1 and Lite2 in their PyTorch package's naming."""

import numpy as np


def table(*widths):
    """Kernel, stride, input and output channels of every block, and by what it expands.

    Args:
        *widths: output channels of the seven stages.
    """
    inputs, blocks = 32, []
    # Lite1 and Lite2 have as many blocks: their depths, 1.1 and 1.2, are rounded up.
    kinds = (3, 1, 1), (3, 2, 3), (5, 2, 3), (3, 2, 4), (5, 1, 4), (5, 2, 5), (3, 1, 1)
    for (size, stride, count), width in zip(kinds, widths, strict=True):
        blocks.append((size, stride, inputs, width, 6 if blocks else 1))
        blocks += [(size, 1, width, width, 6)] * (count - 1)
        inputs = width
    return blocks


LITE1 = table(16, 24, 40, 80, 112, 192, 320)
LITE2 = table(16, 24, 48, 88, 120, 208, 352)


def state_dict(blocks):
    """Random weights that keep the features' size, and batch norms that are not the identity."""
    random = np.random.default_rng(0)
    found = {}

    def add(conv, norm, outputs, inputs, size):
        deviation = np.sqrt(2 / (size * size * inputs))
        found[f"{conv}.weight"] = random.normal(0, deviation, (outputs, inputs, size, size))
        for name, low, high in (
            ("weight", 0.5, 1.5),
            ("bias", -0.2, 0.2),
            ("running_mean", -0.2, 0.2),
            ("running_var", 0.5, 1.5),
        ):
            found[f"{norm}.{name}"] = random.uniform(low, high, outputs)
        found[f"{norm}.num_batches_tracked"] = np.zeros(())

    add("_conv_stem", "_bn0", 32, 3, 3)
    for index, (size, _, inputs, outputs, expansion) in enumerate(blocks):
        block, middle = f"_blocks.{index}.", inputs * expansion
        if expansion > 1:
            add(block + "_expand_conv", block + "_bn0", middle, inputs, 1)
        add(block + "_depthwise_conv", block + "_bn1", middle, 1, size)
        add(block + "_project_conv", block + "_bn2", outputs, middle, 1)
    add("_conv_head", "_bn1", 1280, blocks[-1][3], 1)
    found["_fc.weight"] = random.normal(0, np.sqrt(1 / 1280), (1000, 1280))
    found["_fc.bias"] = random.uniform(-0.2, 0.2, 1000)
    return {name: values.astype(np.float32) for name, values in found.items()}
