"""One step of a deterministic core in a graph, see :mod:`wm_dynamics.cores`."""

from __future__ import annotations

import math

import numpy as np

from wm_dynamics.config import ModelConfig
from wm_dynamics.export.graph import Graph

CELL = "rssm.cell"


def step(
    g: Graph, config: ModelConfig, x: str, deter: str, memory: str | None
) -> tuple[str, str | None]:
    """X (N, hidden), deter (N, D), memory (N, layers, 2, heads, W, D / heads) -> the next two."""
    if config.core == "block_gru":
        return _block_gru(g, config, x, deter), None
    if config.core == "transformer":
        assert memory is not None, "a transformer's belief has a memory"
        return _transformer(g, config, x, memory)
    gates = g.layer_norm(f"{CELL}.norm", g.linear(f"{CELL}.linear", g.concat(x, deter)))
    return _gate(g, deter, *g.split(gates, *[config.deter] * 3)), None


def _gate(g: Graph, deter: str, reset: str, candidate: str, update: str) -> str:
    candidate = g.op("Tanh", g.op("Mul", g.op("Sigmoid", reset), candidate))
    share = g.op("Sigmoid", g.op("Sub", update, g.constant(1.0, name="one")))
    return g.op("Add", deter, g.op("Mul", share, g.op("Sub", candidate, deter)))


def _block_gru(g: Graph, config: ModelConfig, x: str, deter: str) -> str:
    """What all blocks read is one product for all of them, not one per block."""
    blocks, width = config.core_blocks, config.deter // config.core_blocks
    summary = g.silu(g.rms_norm(f"{CELL}.summary_norm", g.linear(f"{CELL}.summary", deter)))
    weight = g.tensors[f"{CELL}.hidden.weight"]  # (blocks, width + 2 * inputs, width)
    shared = np.concatenate(list(weight[:, width:]), -1)  # (2 * inputs, blocks * width)
    own = g.product(_blocks(g, deter, blocks, width), weight[:, :width], f"{CELL}.hidden.own")
    hidden = g.op(
        "Add",
        _join(g, own, config.deter),
        g.product(g.concat(x, summary), shared, f"{CELL}.hidden.shared"),
    )
    bias = g.constant(g.tensors[f"{CELL}.hidden.bias"].reshape(-1), name=f"{CELL}.hidden.offset")
    hidden = g.silu(g.rms_norm(f"{CELL}.hidden_norm", g.op("Add", hidden, bias)))
    gates = g.product(
        _blocks(g, hidden, blocks, width), g.tensors[f"{CELL}.gates.weight"], f"{CELL}.gates"
    )
    gates = g.op("Add", gates, g.weight(f"{CELL}.gates.bias"))
    parts = [_join(g, part, config.deter) for part in g.split(gates, width, width, width)]
    return _gate(g, deter, *parts)


def _blocks(g: Graph, x: str, blocks: int, width: int) -> str:
    """(N, blocks * width) -> (blocks, N, width)."""
    return g.op("Transpose", g.reshape(x, 0, blocks, width), perm=[1, 0, 2])


def _join(g: Graph, x: str, width: int) -> str:
    """(blocks, N, X) -> (N, blocks * X)."""
    return g.reshape(g.op("Transpose", x, perm=[1, 0, 2]), 0, width)


def _transformer(g: Graph, config: ModelConfig, x: str, memory: str) -> tuple[str, str]:
    """One token; keys and values of the W steps before come from the memory."""
    heads, width, window = config.core_heads, config.deter // config.core_heads, config.core_window
    token = g.linear(f"{CELL}.inp", x)
    distance = g.tensors[f"{CELL}.distance"][..., ::-1]  # (layers, heads, W + 1), oldest first
    layers = g.split(memory, *[1] * config.core_layers, axis=1)
    kept = []
    for i in range(config.core_layers):
        name = f"{CELL}.layers.{i}"
        parts = g.linear(f"{name}.query_key_value", g.layer_norm(f"{name}.attend_norm", token))
        query, key, value = (
            g.reshape(part, 0, heads, 1, width) for part in g.split(parts, *[config.deter] * 3)
        )
        # (N, 1, 2, heads, W, width) with (N, 1, 2, heads, 1, width) behind it
        new = g.reshape(g.concat(key, value, axis=1), 0, 1, 2, heads, 1, width)
        cache = g.concat(layers[i], new, axis=-2)
        kept.append(g.split(cache, 1, window, axis=-2)[1])
        keys, values = (
            g.reshape(part, 0, heads, window + 1, width) for part in g.split(cache, 1, 1, axis=2)
        )
        logits = _attend(g, query, keys, width)
        bias = g.constant(distance[i][:, None], name=f"{name}.distance")
        mixed = g.op("MatMul", g.op("Softmax", g.op("Add", logits, bias), axis=-1), values)
        token = finish_layer(g, name, token, g.reshape(mixed, 0, config.deter))
    return g.layer_norm(f"{CELL}.norm", token), g.concat(*kept, axis=1)


def _attend(g: Graph, query: str, keys: str, width: int) -> str:
    """Attention logits (N, heads, T, X) of queries and keys that are ``width`` wide."""
    scale = g.constant(1.0 / math.sqrt(width), name=f"attend_scale_{width}")
    return g.op("Mul", g.op("MatMul", query, g.op("Transpose", keys, perm=[0, 1, 3, 2])), scale)


def finish_layer(g: Graph, name: str, x: str, attended: str, exact: bool = False) -> str:
    """Add what was attended to, then the perceptron, see ``TransformerLayer.mix``."""
    x = g.op("Add", x, g.linear(f"{name}.attend_out", attended, exact))
    inner = g.silu(g.linear(f"{name}.net.0", g.layer_norm(f"{name}.net_norm", x), exact))
    return g.op("Add", x, g.linear(f"{name}.net.2", inner, exact))


def full_layer(g: Graph, name: str, x: str, tokens: int, width: int, heads: int) -> str:
    """A layer of a vision transformer, float32: (M, T, width) -> the same, all see all."""
    parts = g.linear(f"{name}.query_key_value", g.layer_norm(f"{name}.attend_norm", x), exact=True)
    query, key, value = (
        g.op("Transpose", g.reshape(part, 0, tokens, heads, width // heads), perm=[0, 2, 1, 3])
        for part in g.split(parts, width, width, width)
    )
    soft = g.op("Softmax", _attend(g, query, key, width // heads), axis=-1)
    mixed = g.op("Transpose", g.op("MatMul", soft, value), perm=[0, 2, 1, 3])
    return finish_layer(g, name, x, g.reshape(mixed, 0, tokens, width), exact=True)
