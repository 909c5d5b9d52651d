"""The runtimes that ``benchmarks/rollout.py`` compares, each as a function that imagines once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from wm_dynamics.config import ModelConfig
from wm_dynamics.engine import Engine, instruction_sets
from wm_dynamics.imagine import FastImagination
from wm_dynamics.model import WorldModel
from wm_dynamics.rollout import LatentState
from wm_dynamics.rssm import drive_input
from wm_dynamics.scales import checked_steps
from wm_dynamics.weights import Weights, weights_of

Run = Callable[[], object]
STATE = np.array([0.5, 0.0, 0.0, 0.0, 0.0], np.float32)


@dataclass(frozen=True)
class Workload:
    """What is imagined.

    Attributes:
        model: whose futures.
        deter, stoch: belief, (D,) and (G,).
        actions: (N, H, 2).
        uniforms: (N, H, G) to sample by, from the mixture of all members at every step; None: the
            rollouts of the planner, which follow modes.
    """

    model: WorldModel
    deter: np.ndarray
    stoch: np.ndarray
    actions: np.ndarray
    uniforms: np.ndarray | None

    @property
    def weights(self) -> Weights:
        """Of the model."""
        return weights_of(self.model)

    @property
    def flops(self) -> float:
        """Of all products, one-hot inputs counted as dense; two for each multiply and add."""
        c, (n, horizon) = self.model.config, self.actions.shape[:2]
        features = c.deter + c.stoch
        fixed = (c.stoch + 6) * c.hidden + (c.hidden + c.deter) * 3 * c.deter
        fixed += features * c.hidden + c.hidden**2 + 14 * c.hidden
        fixed += 7 * c.ego_hidden + c.ego_hidden**2 + 6 * c.ego_hidden
        prior = c.deter * c.hidden + c.hidden * c.stoch
        asked = float(c.ensemble)
        if self.uniforms is None:
            looks = len(checked_steps(horizon)) if c.ensemble > 1 else 0
            asked = (looks * c.ensemble + horizon - looks) / horizon
        return 2.0 * n * horizon * (fixed + asked * prior)


def make_workload(model: WorldModel, n: int, horizon: int, sampled: bool) -> Workload:
    """A workload with made-up actions and uniforms."""
    rng = np.random.default_rng(0)
    latent = model.initial()
    actions = rng.uniform(-1, 1, (n, horizon, 2)).astype(np.float32)
    shape = (n, horizon, latent.stoch.shape[1])
    uniforms = rng.random(shape, np.float32) if sampled else None
    return Workload(model, latent.deter[0].numpy(), latent.stoch[0].numpy(), actions, uniforms)


def large_model() -> WorldModel:
    """Five members, 512 wide, 32 groups of 32 classes; random weights."""
    config = ModelConfig(deter=512, hidden=512, groups=32, classes=32, ensemble=5)
    return WorldModel.untrained(config, seed=0)


def with_torch(work: Workload, threads: int, dtype: torch.dtype = torch.float32) -> Run:
    """The training code's modules, eager; modes by ``FastImagination``."""
    state, actions = torch.from_numpy(STATE), torch.from_numpy(work.actions)
    latent = LatentState(torch.from_numpy(work.deter)[None], torch.from_numpy(work.stoch)[None])
    if work.uniforms is None:
        fast = FastImagination(work.model, dtype)
        return lambda: (torch.set_num_threads(threads), fast(latent, state, actions))
    uniforms = torch.from_numpy(work.uniforms)
    return lambda: (
        torch.set_num_threads(threads),
        _sampled(work.model, latent, state, actions, uniforms),
    )


@torch.inference_mode()
def _sampled(
    model: WorldModel,
    latent: LatentState,
    state: torch.Tensor,
    actions: torch.Tensor,
    uniforms: torch.Tensor,
) -> torch.Tensor:
    rssm, n = model.rssm, len(actions)
    states, motions = model.ego.roll(state.expand(n, -1), actions)
    drive = drive_input(actions, motions, states[..., :1])
    start = latent.expand(n)
    deter, stoch = start.deter, rssm.latent.flat(start.stoch)
    heads = []
    for t in range(actions.shape[1]):
        deter, _ = rssm.transition(deter, stoch, drive[:, t])
        raw = torch.stack([prior(deter) for prior in rssm.priors])
        mixture = rssm.latent.average(rssm.dist(raw))
        spread = rssm.latent.spread(raw)
        below = mixture.cumsum(-1) < uniforms[:, t, :, None]
        stoch = rssm.latent.flat(below.sum(-1).clamp_max_(mixture.shape[-1] - 1))
        heads.append(model.head(torch.cat([deter, stoch], -1)) + 0.0 * spread[:, None])
    return torch.stack(heads, 1)


def with_engine(work: Workload, threads: int, precision: str) -> Run | None:
    """The C++ engine; None where it has no such precision."""
    if precision == "bf16" and "avx512_bf16" not in instruction_sets():
        return None
    engine = Engine(work.weights, precision, threads)  # type: ignore[arg-type]
    start = (work.deter, work.stoch, STATE, work.actions)
    return lambda: engine.imagine(*start, uniforms=work.uniforms)


def with_onnxruntime(work: Workload, threads: int) -> Run | None:
    """The exported step graphs in onnxruntime; None without it."""
    try:
        import onnxruntime
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")

    def compiled(data: bytes) -> Callable[[dict], dict]:
        session = onnxruntime.InferenceSession(data, options, ["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return lambda feed: dict(zip(names, session.run(None, feed), strict=True))

    return _graphs(work, compiled)


def with_openvino(work: Workload, threads: int, precision: str = "f32") -> Run | None:
    """The same graphs in OpenVINO; None without it."""
    import onnx

    try:
        import openvino
    except ImportError:
        return None
    core = openvino.Core()
    how = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision}

    def compiled(data: bytes) -> Callable[[dict], dict]:
        request = core.compile_model(core.read_model(data), "CPU", how).create_infer_request()
        # In the graph's order; OpenVINO may know an output by another of its names.
        names = [output.name for output in onnx.load_model_from_string(data).graph.output]

        def run(feed: dict) -> dict:
            found = request.infer(feed)
            return {name: found[i].copy() for i, name in enumerate(names)}

        return run

    return _graphs(work, compiled)


def _graphs(work: Workload, compiled: Callable[[bytes], Callable[[dict], dict]]) -> Run:
    from wm_dynamics.export.graphs import make_graph

    def made(name: str) -> Callable[[dict], dict]:
        return compiled(make_graph(name, work.weights).SerializeToString())

    n, horizon = work.actions.shape[:2]
    members = work.model.config.ensemble
    start = {
        "next_deter": np.repeat(work.deter[None], n, 0),
        "next_stoch": np.repeat(work.stoch[None], n, 0),
        "next_ego_state": np.repeat(STATE[None], n, 0),
    }
    moves = np.ascontiguousarray(work.actions.swapaxes(0, 1))
    if work.uniforms is None:
        checked = checked_steps(horizon) if members > 1 else []
        step, look = made("step"), made("step_checked") if checked else None
        steps = [
            (look if t in checked and look else step, {"member": np.array(t % members)})
            for t in range(horizon)
        ]
    else:
        draws = np.ascontiguousarray(work.uniforms.swapaxes(0, 1))
        sample = made("step_sampled")
        steps = [(sample, {"uniforms": draw}) for draw in draws]

    def run() -> list[np.ndarray]:
        out, heads = start, []
        for move, (graph, more) in zip(moves, steps, strict=True):
            names = ("deter", "stoch", "ego_state")
            feed = {name: out[f"next_{name}"] for name in names}
            out = graph({**feed, "action": move, **more})
            heads.append(out["heads"])
        return heads

    return run
