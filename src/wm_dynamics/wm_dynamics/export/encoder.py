"""All observation streams of one moment to one embedding, in a graph; float32 throughout.

One row at a time. See :mod:`wm_dynamics.encoder` for what is computed, and
:mod:`wm_dynamics.streams` for what the raw streams are.
"""

from __future__ import annotations

import numpy as np

from wm_dynamics.config import CameraConfig, ModelConfig
from wm_dynamics.export.cores import full_layer
from wm_dynamics.export.graph import BOOL, FLOAT, UINT8, Graph

VECTORS = ("state", "route")


def stream_inputs(g: Graph, config: ModelConfig) -> dict[str, str]:
    """Declare the raw streams, and which of them are there; names of the values by stream.

    The state is always asked for: it tells the speed. A model that can do without streams has an
    input ``present`` (1, streams), in the order of ``config.streams``.
    """
    made = {}
    for name in dict.fromkeys((*config.streams, "state")):
        if name == "bev":
            made[name] = g.input(name, UINT8, (1, config.bev_size, config.bev_size))
        elif name == "lidar_bev" and config.lidar:
            side = config.lidar.size
            made[name] = g.input(name, FLOAT, (1, config.lidar.channels, side, side))
        elif name in config.cameras and config.camera:
            made[name] = g.input(name, UINT8, (1, config.camera.height, config.camera.width, 3))
        else:
            width = config.state_dim if name == "state" else config.route_dim
            made[name] = g.input(name, FLOAT, (1, width))
    if config.modality_dropout:
        made["present"] = g.input("present", BOOL, (1, len(config.streams)))
    return made


def stream_flag(g: Graph, config: ModelConfig, streams: dict[str, str], name: str) -> str | None:
    """(1, 1) whether a stream is there; None where it always is."""
    if "present" not in streams or name not in config.streams:
        return None
    index = g.constant([config.streams.index(name)], np.int64, f"index_{name}")
    return g.op("Gather", streams["present"], index, axis=1)


def encode(g: Graph, config: ModelConfig, streams: dict[str, str]) -> str:
    """Raw streams, see :func:`stream_inputs` -> embedding (1, E)."""
    parts = []
    if config.bev:
        features = _patch_cnn(g, "encoder.cnn", _unpack(g, streams["bev"], config.bev_channels))
        parts.append(_fill(g, config, streams, "bev", features))
    if config.camera:
        parts.append(_cameras(g, config, config.camera, streams))
    if config.lidar:
        features = _patch_cnn(g, "encoder.lidar", streams["lidar_bev"])
        parts.append(_fill(g, config, streams, "lidar_bev", features))
    if any(name in config.streams for name in VECTORS):
        parts.append(_vectors(g, config, streams))
    hidden = g.linear("encoder.out.0", g.concat(*parts), exact=True)
    return g.silu(g.layer_norm("encoder.out.1", hidden))


def _unpack(g: Graph, packed: str, channels: int) -> str:
    """(1, S, S) bits -> (1, C, S, S) of 0 and 1, in float arithmetic: TensorRT shifts no bits."""
    share = g.constant((2.0 ** -np.arange(channels))[:, None, None], name="bit_share")
    shifted = g.op("Floor", g.op("Mul", g.unsqueeze(g.cast(packed, FLOAT), 1), share))
    halves = g.op("Floor", g.op("Mul", shifted, g.constant(0.5, name="half")))
    return g.op("Sub", shifted, g.op("Mul", halves, g.constant(2.0, name="two")))


def _fill(
    g: Graph, config: ModelConfig, streams: dict[str, str], name: str, features: str, key: str = ""
) -> str:
    """Features (1, X), or the learned vector where the stream is not there."""
    flag = stream_flag(g, config, streams, name)
    if flag is None:
        return features
    return g.op("Where", flag, features, g.weight(f"encoder.missing.{key or name}"))


def _conv(g: Graph, name: str, x: str, stride: int, padding: int) -> str:
    """``torch.nn.Conv2d`` with a square kernel."""
    weight = g.tensors[f"{name}.weight"]
    return g.op(
        "Conv",
        x,
        g.weight(f"{name}.weight"),
        g.weight(f"{name}.bias"),
        label=name,
        kernel_shape=list(weight.shape[2:]),
        strides=[stride, stride],
        pads=[padding] * 4,
    )


def _patch_cnn(g: Graph, name: str, x: str) -> str:
    """See :func:`wm_dynamics.networks.patch_cnn`."""
    for i, (stride, padding) in enumerate(((4, 0), (2, 1), (2, 1))):
        x = g.silu(_conv(g, f"{name}.{2 * i}", x, stride, padding))
    return g.op("Flatten", x, axis=1)


def _group_norm(g: Graph, name: str, x: str, groups: int = 8) -> str:
    """``torch.nn.GroupNorm`` of (M, C, h, w): a norm per instance of the groups, then per channel.

    The ONNX operator of that name scales per group in opset 20.
    """
    channels = len(g.tensors[f"{name}.weight"])
    one, zero = (np.full(groups, v) for v in (1.0, 0.0))
    apart = g.reshape(x, 0, groups, -1)
    normed = g.op(
        "InstanceNormalization",
        apart,
        g.constant(one, name=f"ones_{groups}"),
        g.constant(zero, name=f"zeros_{groups}"),
        epsilon=1e-5,
    )
    scale, shift = (
        g.constant(g.tensors[f"{name}.{part}"].reshape(channels, 1, 1), name=f"{name}.{part}.grid")
        for part in ("weight", "bias")
    )
    together = g.op("Reshape", normed, g.op("Shape", x))
    return g.op("Add", g.op("Mul", together, scale), shift)


def _residual_cnn(g: Graph, name: str, x: str) -> str:
    """See :func:`wm_dynamics.networks.residual_cnn`."""
    x = g.silu(_conv(g, f"{name}.0", x, 2, 1))
    for i in (2, 4, 6):
        x = _conv(g, f"{name}.{i}", x, 2, 1)
        block = f"{name}.{i + 1}"
        inner = _conv(g, f"{block}.first", g.silu(_group_norm(g, f"{block}.norm", x)), 1, 1)
        x = g.op("Add", x, _conv(g, f"{block}.second", g.silu(inner), 1, 1))
    x = g.silu(_group_norm(g, f"{name}.8", x))
    return g.op("Flatten", _conv(g, f"{name}.10", x, 1, 0), axis=1)


def _vision_transformer(g: Graph, name: str, x: str, camera: CameraConfig) -> str:
    """See :class:`wm_dynamics.networks.VisionTransformer`."""
    patch, width = camera.vit_patch, camera.vit_width
    tokens = (camera.height // patch) * (camera.width // patch)
    grid = g.reshape(_conv(g, f"{name}.patches", x, patch, 0), 0, width, tokens)
    x = g.op("Add", g.op("Transpose", grid, perm=[0, 2, 1]), g.weight(f"{name}.position"))
    for i in range(camera.vit_layers):
        x = full_layer(g, f"{name}.layers.{i}", x, tokens, width, camera.vit_heads)
    return g.op("ReduceMean", g.layer_norm(f"{name}.norm", x), g.ints(1), keepdims=0)


def _cameras(g: Graph, config: ModelConfig, camera: CameraConfig, streams: dict[str, str]) -> str:
    """All cameras through one network -> (1, cameras * F)."""
    name = "encoder.cameras"
    pixels = g.cast(g.concat(*(streams[c] for c in config.cameras), axis=0), FLOAT)
    scaled = g.op("Div", pixels, g.constant(255.0, name="codes"))
    centred = g.op("Sub", scaled, g.constant(0.5, name="half"))
    x = g.op("Transpose", centred, perm=[0, 3, 1, 2])
    if camera.encoder == "vit":
        x = _vision_transformer(g, f"{name}.net", x, camera)
    elif camera.encoder == "resnet":
        x = _residual_cnn(g, f"{name}.net", x)
    else:
        x = _patch_cnn(g, f"{name}.net", x)
    features = g.linear(f"{name}.out", x, exact=True)  # (cameras, F)
    count = len(config.cameras)
    if "present" in streams:
        rows = g.split(features, *[1] * count, axis=0) if count > 1 else [features]
        rows = [
            _fill(g, config, streams, c, row, "camera")
            for c, row in zip(config.cameras, rows, strict=True)
        ]
        features = g.concat(*rows, axis=0)
    labelled = g.op("Add", features, g.weight(f"{name}.camera"))
    seen = g.silu(g.layer_norm(f"{name}.norm", labelled))
    return g.reshape(seen, 1, count * camera.features)


def _vectors(g: Graph, config: ModelConfig, streams: dict[str, str]) -> str:
    """State and route, standardised, through one perceptron -> (1, vector_hidden)."""
    name = "encoder.vector"
    names = [v for v in VECTORS if v in config.streams]
    raw = g.concat(*(streams[v] for v in names))
    off = g.op("Div", g.op("Sub", raw, g.weight(f"{name}.mean")), g.weight(f"{name}.std"))
    scaled = g.op("Clip", off, g.constant(-5.0, name="least_off"), g.constant(5.0, name="most_off"))
    if "present" in streams:
        widths = [config.state_dim if v == "state" else config.route_dim for v in names]
        parts = g.split(scaled, *widths) if len(names) > 1 else [scaled]
        scaled = g.concat(
            *(_fill(g, config, streams, v, part) for v, part in zip(names, parts, strict=True))
        )
    for i in (0, 3):
        hidden = g.linear(f"{name}.net.{i}", scaled, exact=True)
        scaled = g.silu(g.layer_norm(f"{name}.net.{i + 1}", hidden))
    return scaled
