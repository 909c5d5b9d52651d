"""All observation streams of one moment to one embedding, in plain numpy.

One row; see :mod:`wm_dynamics.encoder` for what is computed, and :mod:`wm_dynamics.streams` for
what the raw streams are. Kernels lie as :func:`wm_dynamics.reference_conv.channels_last` has them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from wm_dynamics.config import CameraConfig, ModelConfig
from wm_dynamics.errors import UserError
from wm_dynamics.reference_conv import PICTURE_NETS, patch_cnn
from wm_dynamics.reference_layers import Tensors, layer_norm, linear, silu

VECTORS = ("state", "route")
FARTHEST = 5.0  # standard deviations; what is beyond is clipped

Streams = Mapping[str, np.ndarray]


def stream_shape(name: str, config: ModelConfig) -> tuple[int, ...]:
    """Shape of the raw stream ``name`` of one moment."""
    if name == "bev":
        return (config.bev_size, config.bev_size)
    if name == "lidar_bev" and config.lidar:
        return (config.lidar.channels, config.lidar.size, config.lidar.size)
    if name in config.cameras and config.camera:
        return (config.camera.height, config.camera.width, 3)
    return (config.state_dim if name == "state" else config.route_dim,)


def check_streams(config: ModelConfig, streams: Streams) -> None:
    """All that the model needs is there, and each stream has the right shape.

    Raises:
        UserError: it is not so.
    """
    missing = [name for name in config.streams if name not in streams]
    if missing and not config.modality_dropout:
        raise UserError(
            f"the model needs {', '.join(missing)}, which is missing; give it, or train a "
            "model with modality_dropout above 0"
        )
    if len(missing) == len(config.streams):
        raise UserError(f"the model sees nothing; give one of {', '.join(missing)}")
    for name in config.streams:
        if name in streams and np.shape(streams[name]) != (shape := stream_shape(name, config)):
            raise UserError(
                f"stream {name!r} arrives as {np.shape(streams[name])}; the model was made for "
                f"{shape}, change the source or train a model for it"
            )


def encode(config: ModelConfig, tensors: Tensors, streams: Streams) -> np.ndarray:
    """Raw streams of one moment -> embedding (1, E).

    Args:
        config: of the model.
        tensors: its weights, kernels channels last.
        streams: those that are there, by name.

    Raises:
        UserError: see :func:`check_streams`; or an encoder that has no specification here.
    """
    check_streams(config, streams)
    parts = []
    if config.bev:
        bev = streams.get("bev")
        seen = None if bev is None else patch_cnn(tensors, "encoder.cnn", _planes(bev, config))
        parts.append(_fill(tensors, "bev", seen))
    if config.camera:
        parts += [
            _camera(tensors, config.camera, index, streams.get(name))
            for index, name in enumerate(config.cameras)
        ]
    if config.lidar:
        cells = streams.get("lidar_bev")
        if cells is not None:
            cells = np.asarray(cells, np.float32).transpose(1, 2, 0)
        seen = None if cells is None else patch_cnn(tensors, "encoder.lidar", cells)
        parts.append(_fill(tensors, "lidar_bev", seen))
    if any(name in config.streams for name in VECTORS):
        parts.append(_vectors(config, tensors, streams))
    hidden = linear(tensors, "encoder.out.0", np.concatenate(parts, -1))
    return silu(layer_norm(tensors, "encoder.out.1", hidden))


def _planes(bev: np.ndarray, config: ModelConfig) -> np.ndarray:
    """(S, S) bits -> (S, S, C) of 0 and 1."""
    bits = np.arange(config.bev_channels, dtype=np.uint8)
    return ((np.asarray(bev, np.uint8)[..., None] >> bits) & 1).astype(np.float32)


def _fill(tensors: Tensors, key: str, features: np.ndarray | None) -> np.ndarray:
    """The features (1, X), or the learned vector that stands for a stream that is not there."""
    return tensors[f"encoder.missing.{key}"][None] if features is None else features


def _camera(
    tensors: Tensors, camera: CameraConfig, index: int, picture: np.ndarray | None
) -> np.ndarray:
    """Features (1, F) of camera ``index``; picture: (h, w, 3) uint8."""
    name, features = "encoder.cameras", None
    if picture is not None:
        if camera.encoder not in PICTURE_NETS:
            raise UserError(f"the reference has no {camera.encoder} encoder; use the torch backend")
        pixels = np.asarray(picture, np.float32) / np.float32(255.0) - np.float32(0.5)
        grid = PICTURE_NETS[camera.encoder](tensors, f"{name}.net", pixels)
        features = linear(tensors, f"{name}.out", grid)
    labelled = _fill(tensors, "camera", features) + tensors[f"{name}.camera"][index]
    return silu(layer_norm(tensors, f"{name}.norm", labelled))


def _vectors(config: ModelConfig, tensors: Tensors, streams: Streams) -> np.ndarray:
    """State and route, standardised, through one perceptron -> (1, vector_hidden)."""
    name, parts, at = "encoder.vector", [], 0
    for key in (v for v in VECTORS if v in config.streams):
        width = stream_shape(key, config)[0]
        mean, std = (tensors[f"{name}.{part}"][at : at + width] for part in ("mean", "std"))
        at += width
        value = None
        if key in streams:
            off = (np.asarray(streams[key], np.float32)[None] - mean) / std
            value = off.clip(-FARTHEST, FARTHEST)
        parts.append(_fill(tensors, key, value))
    x = np.concatenate(parts, -1)
    for i in (0, 3):
        x = silu(layer_norm(tensors, f"{name}.net.{i + 1}", linear(tensors, f"{name}.net.{i}", x)))
    return x
