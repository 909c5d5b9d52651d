"""Convolutional networks in plain numpy, float32: pictures and grids of one row to features.

Grids are (h, w, channels), channels innermost, as masks and pictures arrive; a convolution is then
one matrix product of its patches. Kernels must lie likewise: see :func:`channels_last`. Names of
layers and what they compute: :mod:`wm_dynamics.networks`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from wm_dynamics.reference_layers import LAYER_EPSILON, Tensors, silu

GROUPS = 8  # of torch.nn.GroupNorm in a residual network


def channels_last(tensors: Tensors) -> dict[str, np.ndarray]:
    """Kernels (outputs, inputs, k, k) as (k, k, inputs, outputs); all else as it is."""
    return {
        name: np.ascontiguousarray(tensor.transpose(2, 3, 1, 0)) if tensor.ndim == 4 else tensor
        for name, tensor in tensors.items()
    }


def conv(tensors: Tensors, name: str, x: np.ndarray, stride: int, padding: int) -> np.ndarray:
    """``torch.nn.Conv2d`` with a square kernel: (h, w, inputs) -> (h', w', outputs)."""
    kernel = tensors[f"{name}.weight"]
    side, _, inputs, outputs = kernel.shape
    if padding:
        x = np.pad(x, ((padding, padding), (padding, padding), (0, 0)))
    x = np.ascontiguousarray(x)
    height, width = ((size - side) // stride + 1 for size in x.shape[:2])
    down, right, number = x.strides
    # The pixels of a kernel's row are adjacent.
    patches = np.lib.stride_tricks.as_strided(
        x,
        (height, width, side, side * inputs),
        (down * stride, right * stride, down, number),
        writeable=False,
    )
    rows = patches.reshape(height * width, side * side * inputs)
    product = rows @ kernel.reshape(-1, outputs) + tensors[f"{name}.bias"]
    return product.reshape(height, width, outputs)


def group_norm(tensors: Tensors, name: str, x: np.ndarray) -> np.ndarray:
    """``torch.nn.GroupNorm``: over the pixels and the channels of a group."""
    grouped = x.reshape(-1, GROUPS, x.shape[-1] // GROUPS)
    centred = grouped - grouped.mean((0, 2), keepdims=True)
    variance = np.square(centred).mean((0, 2), keepdims=True)
    normed = (centred / np.sqrt(variance + np.float32(LAYER_EPSILON))).reshape(x.shape)
    return normed * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]


def patch_cnn(tensors: Tensors, name: str, x: np.ndarray) -> np.ndarray:
    """See :func:`wm_dynamics.networks.patch_cnn`."""
    for i, (stride, padding) in enumerate(((4, 0), (2, 1), (2, 1))):
        x = silu(conv(tensors, f"{name}.{2 * i}", x, stride, padding))
    return _flat(x)


def residual_cnn(tensors: Tensors, name: str, x: np.ndarray) -> np.ndarray:
    """See :func:`wm_dynamics.networks.residual_cnn`."""
    x = silu(conv(tensors, f"{name}.0", x, 2, 1))
    for i in (2, 4, 6):
        x = conv(tensors, f"{name}.{i}", x, 2, 1)
        block = f"{name}.{i + 1}"
        inner = conv(tensors, f"{block}.first", silu(group_norm(tensors, f"{block}.norm", x)), 1, 1)
        x = x + conv(tensors, f"{block}.second", silu(inner), 1, 1)
    x = silu(group_norm(tensors, f"{name}.8", x))
    return _flat(conv(tensors, f"{name}.10", x, 1, 0))


def _flat(x: np.ndarray) -> np.ndarray:
    """(h, w, channels) -> (1, channels * h * w), in torch's order."""
    return x.transpose(2, 0, 1).reshape(1, -1)


# By ``CameraConfig.encoder``.
PICTURE_NETS: dict[str, Callable[[Tensors, str, np.ndarray], np.ndarray]] = {
    "cnn": patch_cnn,
    "resnet": residual_cnn,
}
