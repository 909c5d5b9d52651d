"""Layers of the world model in plain numpy, float32: what every other runtime is tested against.

Each function says in a line what the torch module of the same purpose computes. Symbols as in
:mod:`wm_dynamics.config`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Tensors = Mapping[str, np.ndarray]  # names as in ``model.safetensors``
LAYER_EPSILON = 1e-5  # torch.nn.LayerNorm
RMS_EPSILON = float(np.finfo(np.float32).eps)  # torch.nn.RMSNorm


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)) without overflow."""
    return (0.5 * (1.0 + np.tanh(0.5 * x))).astype(np.float32)


def silu(x: np.ndarray) -> np.ndarray:
    """X * sigmoid(x)."""
    return x * sigmoid(x)


def softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + exp(x))."""
    return np.logaddexp(np.float32(0.0), x)


def softmax(x: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def linear(tensors: Tensors, name: str, x: np.ndarray) -> np.ndarray:
    """x (..., inputs) -> (..., outputs)."""
    bias = tensors.get(f"{name}.bias")
    product = x @ tensors[f"{name}.weight"].T
    return product if bias is None else product + bias


def layer_norm(tensors: Tensors, name: str, x: np.ndarray) -> np.ndarray:
    """Over the last axis, with scale and shift."""
    centred = x - x.mean(-1, keepdims=True)
    spread = np.sqrt(np.square(centred).mean(-1, keepdims=True) + np.float32(LAYER_EPSILON))
    return centred / spread * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]


def rms_norm(tensors: Tensors, name: str, x: np.ndarray) -> np.ndarray:
    """Over the last axis, with scale."""
    size = np.sqrt(np.square(x).mean(-1, keepdims=True) + np.float32(RMS_EPSILON))
    return x / size * tensors[f"{name}.weight"]


def perceptron(tensors: Tensors, name: str, x: np.ndarray, layers: int = 1) -> np.ndarray:
    """See :func:`wm_dynamics.networks.perceptron`."""
    for i in range(layers):
        hidden = linear(tensors, f"{name}.{3 * i}", x)
        x = silu(layer_norm(tensors, f"{name}.{3 * i + 1}", hidden))
    return linear(tensors, f"{name}.{3 * layers}", x)


def gate(
    deter: np.ndarray, reset: np.ndarray, candidate: np.ndarray, update: np.ndarray
) -> np.ndarray:
    """See :func:`wm_dynamics.cores.gate`."""
    candidate = np.tanh(sigmoid(reset) * candidate)
    return deter + sigmoid(update - 1.0) * (candidate - deter)


def gru(tensors: Tensors, x: np.ndarray, deter: np.ndarray) -> np.ndarray:
    """See :class:`wm_dynamics.cores.NormGRUCell`."""
    gates = linear(tensors, "rssm.cell.linear", np.concatenate([x, deter], -1))
    return gate(deter, *np.split(layer_norm(tensors, "rssm.cell.norm", gates), 3, -1))


def block_gru(tensors: Tensors, x: np.ndarray, deter: np.ndarray, blocks: int) -> np.ndarray:
    """See :class:`wm_dynamics.cores.BlockGRUCell`."""
    cell = "rssm.cell"
    rows, slice_width = len(deter), deter.shape[1] // blocks
    summary = linear(tensors, f"{cell}.summary", deter)
    summary = silu(rms_norm(tensors, f"{cell}.summary_norm", summary))
    shared = np.broadcast_to(np.concatenate([x, summary], -1), (blocks, rows, 2 * x.shape[1]))
    own = deter.reshape(rows, blocks, slice_width).swapaxes(0, 1)
    hidden = _blocks(tensors, f"{cell}.hidden", np.concatenate([own, shared], -1))
    hidden = silu(rms_norm(tensors, f"{cell}.hidden_norm", _joined(hidden)))
    gates = _blocks(
        tensors, f"{cell}.gates", hidden.reshape(rows, blocks, slice_width).swapaxes(0, 1)
    )
    return gate(deter, *(_joined(part) for part in np.split(gates, 3, -1)))


def _blocks(tensors: Tensors, name: str, x: np.ndarray) -> np.ndarray:
    """(blocks, N, inputs) -> (blocks, N, outputs)."""
    return x @ tensors[f"{name}.weight"] + tensors[f"{name}.bias"]


def _joined(x: np.ndarray) -> np.ndarray:
    """(blocks, N, X) -> (N, blocks * X)."""
    return x.swapaxes(0, 1).reshape(x.shape[1], -1)


def ndtri(p: np.ndarray) -> np.ndarray:
    """Quantiles of the standard normal, float64, to 1e-15.

    Wichura, "Algorithm AS 241: The percentage points of the normal distribution", Applied
    Statistics 37 (1988), 477-484.
    """
    p = np.asarray(p, np.float64)
    off = p - 0.5
    centre = 0.180625 - np.square(off)
    middle = off * _ratio(_AS241[0], centre)
    tail = np.sqrt(-np.log(np.minimum(np.minimum(p, 1.0 - p), 0.4)))
    outer = np.where(tail <= 5.0, _ratio(_AS241[1], tail - 1.6), _ratio(_AS241[2], tail - 5.0))
    return np.where(np.abs(off) <= 0.425, middle, np.sign(off) * outer)


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: np.ndarray) -> np.ndarray:
    above, below = coefficients
    return np.polyval(above[::-1], x) / np.polyval(below[::-1], x)


# Numerator and denominator, lowest power first: centre, tails, far tails.
_AS241 = (
    (
        (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
         1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
         3.3430575583588128105e4, 2.5090809287301226727e3),
        (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
         2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4,
         5.2264952788528545610e3),
    ),
    (
        (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
         3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
         2.27238449892691845833e-2, 7.74545014278341407640e-4),
        (1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
         1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
         1.05075007164441684324e-9),
    ),
    (
        (6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
         2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
         2.71155556874348757815e-5, 2.01033439929228813265e-7),
        (1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
         7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
         2.04426310338993978564e-15),
    ),
)  # fmt: skip
