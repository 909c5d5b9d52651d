"""The graphs that a world model is exported as.

=============== ====================================================================
observe         belief, streams, action, motion -> belief, surprise, disagreement,
                embedding: one filter step
predict         belief, action, motion, state -> belief: a step in which nothing was seen
perceive        belief -> heads at the belief itself
ego             state, action -> next state, motion
step            belief, action, ego state, member -> one imagined step of that member
step_checked    the same, and the disagreement of all members
step_sampled    the same, drawn by uniforms from the mixture of all members
initial         nothing -> the belief before anything was seen; run once, when exporting
=============== ====================================================================

A belief is ``deter`` (N, D), ``stoch`` in compact form, (N, G) classes or (N, Z) means, and the
``memory`` of a transformer. Rows of the step graphs and of ``perceive`` and ``ego`` are dynamic
(N); the filter works on one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import onnx

from wm_dynamics.config import ModelConfig
from wm_dynamics.export import cores
from wm_dynamics.export.encoder import encode, stream_flag, stream_inputs
from wm_dynamics.export.graph import FLOAT, INT64, ROWS, Graph
from wm_dynamics.export.latents import Latent, make_latent
from wm_dynamics.heads import HEADS
from wm_dynamics.scales import MOTION_SCALE, SPEED_SCALE
from wm_dynamics.weights import Weights

Belief = tuple[str, str, "str | None"]  # deter, stoch, memory
FILTER = ("observe", "predict", "perceive", "ego")
IMAGINE = ("step", "step_checked", "step_sampled")


def imagine_graphs(config: ModelConfig) -> tuple[str, ...]:
    """Those of the step graphs that a model has: one member alone disagrees with nobody."""
    return IMAGINE if config.ensemble > 1 else ("step", "step_sampled")


def make_graph(name: str, weights: Weights, products: str = "fp32") -> onnx.ModelProto:
    """The graph ``name``.

    Args:
        name: one of ``FILTER``, ``IMAGINE`` or "initial".
        weights: of the model.
        products: type of the large products of an imagined step, see ``graph.PRODUCTS``.
    """
    g = Graph(name, weights.tensors, products)
    _GRAPHS[name](g, weights.config, make_latent(weights.config))
    return g.model()


def _belief_inputs(g: Graph, config: ModelConfig, latent: Latent, rows: int | str) -> Belief:
    deter = g.input("deter", FLOAT, (rows, config.deter))
    stoch = g.input("stoch", latent.kind, (rows, latent.compact))
    memory = None
    if config.memory_shape:
        memory = g.input("memory", FLOAT, (rows, *config.memory_shape))
    return deter, stoch, memory


def _belief_outputs(
    g: Graph, config: ModelConfig, latent: Latent, rows: int | str, belief: Belief
) -> None:
    deter, stoch, memory = belief
    g.output("next_deter", deter, FLOAT, (rows, config.deter))
    g.output("next_stoch", stoch, latent.kind, (rows, latent.compact))
    if memory is not None:
        g.output("next_memory", memory, FLOAT, (rows, *config.memory_shape))


def _drive(g: Graph, action: str, motion: str, speed: str) -> str:
    """See :func:`wm_dynamics.rssm.drive_input`."""
    scale = g.constant(MOTION_SCALE, name="motion_scale")
    return g.concat(action, g.op("Mul", motion, scale), speed)


def _transition(
    g: Graph, config: ModelConfig, latent: Latent, belief: Belief, drive: str
) -> tuple[str, str | None]:
    """The deterministic state and memory one step on."""
    deter, stoch, memory = belief
    tokens = g.linear("rssm.inp", g.concat(latent.flat(g, stoch), drive), exact=True)
    x = g.silu(g.layer_norm("rssm.inp_norm", tokens))
    return cores.step(g, config, x, deter, memory)


def _all_priors(g: Graph, config: ModelConfig, deter: str) -> str:
    """Deter (N, D) -> (K, N, outputs)."""
    raw = [g.perceptron(f"rssm.priors.{k}", deter) for k in range(config.ensemble)]
    return g.concat(*(g.unsqueeze(part, 0) for part in raw), axis=0)


def _one_prior(g: Graph, config: ModelConfig, deter: str, member: str) -> str:
    """Deter (N, D) -> (N, outputs) of one member, whose weights are looked up."""

    def pick(part: str, matrix: bool = False) -> str:
        stacked = np.stack([g.tensors[f"rssm.priors.{k}.{part}"] for k in range(config.ensemble)])
        if matrix:
            stacked, dtype = stacked.swapaxes(1, 2), g.product_dtype
        else:
            dtype = np.float32
        return g.op("Gather", g.constant(stacked, dtype, f"rssm.priors.{part}"), member, axis=0)

    hidden = g.reduced_product(deter, pick("0.weight", True), "rssm.priors.0")
    hidden = g.op("Add", hidden, pick("0.bias"))
    one, zero = (np.full(config.hidden, v) for v in (1.0, 0.0))
    normed = g.op(
        "LayerNormalization",
        hidden,
        g.constant(one, name="ones"),
        g.constant(zero, name="zeros"),
        axis=-1,
        epsilon=1e-5,
    )
    normed = g.op("Add", g.op("Mul", normed, pick("1.weight")), pick("1.bias"))
    raw = g.reduced_product(g.silu(normed), pick("3.weight", True), "rssm.priors.3")
    return g.op("Add", raw, pick("3.bias"))


def _heads(g: Graph, latent: Latent, deter: str, stoch: str) -> str:
    """Belief -> (N, L) SI values and probabilities, see ``heads.head_values``."""
    x = g.concat(deter, latent.flat(g, stoch))
    for i in (0, 3):
        x = g.silu(g.layer_norm(f"head.{i + 1}", g.linear(f"head.{i}", x)))
    raw = g.linear("head.6", x, exact=True)
    logit = np.array([head.kind == "logit" for head in HEADS])
    scale = [head.scale for head in HEADS]
    shift = [-math.log(head.positive_weight) for head in HEADS]
    scaled = g.op("Mul", raw, g.constant(np.where(logit, 1.0, scale), name="head_scale"))
    shifted = g.op("Add", scaled, g.constant(np.where(logit, shift, 0.0), name="head_shift"))
    chosen = g.constant(logit, np.bool_, "head_is_logit")
    return g.op("Where", chosen, g.op("Sigmoid", shifted), shifted)


def _ego_step(g: Graph, config: ModelConfig, state: str, action: str) -> tuple[str, str]:
    """State (N, 5), action (N, 2) -> next state, motion; see :class:`wm_dynamics.ego.EgoNet`."""
    x = g.concat(state, action)
    for i in (0, 2):
        x = g.silu(g.linear(f"ego.net.{i}", x, exact=True))
    residual = g.op("Mul", g.linear("ego.net.4", x, exact=True), g.weight("ego.scale"))
    moved, faster, off = g.split(residual, 2, 1, 3)
    speed, yaw_rate, _, acceleration = g.split(state, 1, 1, 2, 1)
    distance = g.op("Mul", speed, g.constant(SPEED_SCALE * config.dt, name="way"))
    turn = g.op("Mul", yaw_rate, g.constant(config.dt, name="dt"))
    aside = g.op("Mul", g.op("Mul", distance, turn), g.constant(0.5, name="half"))
    following = g.concat(
        g.op("Add", g.concat(speed, yaw_rate), moved), action, g.op("Add", acceleration, faster)
    )
    return following, g.op("Add", g.concat(distance, aside, turn), off)


def _observe(g: Graph, config: ModelConfig, latent: Latent) -> None:
    belief = _belief_inputs(g, config, latent, 1)
    action, motion = g.input("action", FLOAT, (1, 2)), g.input("motion", FLOAT, (1, 3))
    streams = stream_inputs(g, config)
    embedding = encode(g, config, streams)
    speed = g.split(streams["state"], 1, config.state_dim - 1)[0]
    if (there := stream_flag(g, config, streams, "state")) is not None:
        way = g.constant(config.dt * SPEED_SCALE, name="way")
        speed = g.op("Where", there, speed, g.op("Div", g.split(motion, 1, 2)[0], way))
    deter, memory = _transition(g, config, latent, belief, _drive(g, action, motion, speed))
    seen = embedding if config.core == "transformer" else g.concat(deter, embedding)
    posterior = g.perceptron("rssm.posterior", seen)
    priors = _all_priors(g, config, deter)
    _belief_outputs(g, config, latent, 1, (deter, latent.mode(g, posterior), memory))
    g.output("surprise", latent.surprise(g, posterior, priors), FLOAT, (1,))
    g.output("disagreement", latent.spread(g, priors), FLOAT, (1,))
    g.output("embedding", embedding, FLOAT, (1, config.embed))


def _predict(g: Graph, config: ModelConfig, latent: Latent) -> None:
    belief = _belief_inputs(g, config, latent, 1)
    action, motion = g.input("action", FLOAT, (1, 2)), g.input("motion", FLOAT, (1, 3))
    state = g.input("state", FLOAT, (1, config.state_dim))
    speed = g.split(state, 1, config.state_dim - 1)[0]
    deter, memory = _transition(g, config, latent, belief, _drive(g, action, motion, speed))
    stoch = latent.mean_mode(g, _all_priors(g, config, deter))
    _belief_outputs(g, config, latent, 1, (deter, stoch, memory))


def _perceive(g: Graph, config: ModelConfig, latent: Latent) -> None:
    deter = g.input("deter", FLOAT, (ROWS, config.deter))
    stoch = g.input("stoch", latent.kind, (ROWS, latent.compact))
    g.output("heads", _heads(g, latent, deter, stoch), FLOAT, (ROWS, len(HEADS)))


def _ego(g: Graph, config: ModelConfig, latent: Latent) -> None:
    state = g.input("state", FLOAT, (ROWS, config.state_dim))
    following, motion = _ego_step(g, config, state, g.input("action", FLOAT, (ROWS, 2)))
    g.output("next_state", following, FLOAT, (ROWS, config.state_dim))
    g.output("motion", motion, FLOAT, (ROWS, 3))


def _imagined_step(
    g: Graph, config: ModelConfig, latent: Latent, choose: Callable[[str], str]
) -> None:
    """One imagined step; ``choose`` makes the compact state from ``deter``."""
    belief = _belief_inputs(g, config, latent, ROWS)
    action = g.input("action", FLOAT, (ROWS, 2))
    state = g.input("ego_state", FLOAT, (ROWS, config.state_dim))
    following, motion = _ego_step(g, config, state, action)
    speed = g.split(following, 1, config.state_dim - 1)[0]
    deter, memory = _transition(g, config, latent, belief, _drive(g, action, motion, speed))
    stoch = choose(deter)
    _belief_outputs(g, config, latent, ROWS, (deter, stoch, memory))
    g.output("next_ego_state", following, FLOAT, (ROWS, config.state_dim))
    g.output("motion", motion, FLOAT, (ROWS, 3))
    g.output("heads", _heads(g, latent, deter, stoch), FLOAT, (ROWS, len(HEADS)))


def _step(g: Graph, config: ModelConfig, latent: Latent) -> None:
    if config.ensemble == 1:
        _imagined_step(
            g, config, latent, lambda deter: latent.mode(g, g.perceptron("rssm.priors.0", deter))
        )
        return
    member = g.input("member", INT64, ())
    _imagined_step(
        g, config, latent, lambda deter: latent.mode(g, _one_prior(g, config, deter, member))
    )


def _step_checked(g: Graph, config: ModelConfig, latent: Latent) -> None:
    member = g.input("member", INT64, ())

    def choose(deter: str) -> str:
        raw = _all_priors(g, config, deter)
        g.output("spread", latent.spread(g, raw), FLOAT, (ROWS,))
        return latent.mode(g, g.op("Gather", raw, member, axis=0))

    _imagined_step(g, config, latent, choose)


def _step_sampled(g: Graph, config: ModelConfig, latent: Latent) -> None:
    uniforms = g.input("uniforms", FLOAT, (ROWS, latent.compact))

    def choose(deter: str) -> str:
        raw = _all_priors(g, config, deter)
        g.output("spread", latent.spread(g, raw), FLOAT, (ROWS,))
        return latent.sample(g, raw, uniforms)

    _imagined_step(g, config, latent, choose)


def _initial(g: Graph, config: ModelConfig, latent: Latent) -> None:
    start = g.constant(g.tensors["rssm.initial_deter"][None], name="start")
    deter = g.op("Tanh", start)
    stoch = latent.mean_mode(g, _all_priors(g, config, deter))
    memory = None
    if config.memory_shape:
        memory = g.constant(g.tensors["rssm.cell.start"][None], name="start_memory")
    _belief_outputs(g, config, latent, 1, (deter, stoch, memory))


_GRAPHS: Mapping[str, Callable[[Graph, ModelConfig, Latent], None]] = {
    "observe": _observe,
    "predict": _predict,
    "perceive": _perceive,
    "ego": _ego,
    "step": _step,
    "step_checked": _step_checked,
    "step_sampled": _step_sampled,
    "initial": _initial,
}
