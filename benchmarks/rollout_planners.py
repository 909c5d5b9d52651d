"""Whole planners beside ours: imagined steps per second, for ``rollout.py --planners FOLDER``.

The folder holds what `pip install --target FOLDER --no-deps pytorch-mppi mbrl ...` put there (and
what these import) and, as ``tdmpc2``, a checkout of TD-MPC2. Each plans as its authors' defaults
say, eager, on the CPU:

- ours: the shipped model, default parameters, engine in float32;
- TD-MPC2: its own model of 5 M parameters, 512 sequences x 6 iterations x 3 steps;
- pytorch_mppi: the shipped model in torch, one member, as many sequences and steps as ours;
- mbrl-lib, PETS: seven networks of 4 x 200, 350 sequences x 5 iterations x 15 steps x 20 particles.

Models differ, so the figures say what a planner gets through, not which runtime is quicker.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from rollout_runtimes import STATE, Run

from wm_dynamics.backends import make_backend_of
from wm_dynamics.checkpoint import load_checkpoint
from wm_dynamics.rssm import drive_input
from wm_dynamics.weights import read_weights
from wm_planner.paths import DEFAULT_MODEL, model_path
from wm_planner.planner import Planner
from wm_planner.planner_config import PlannerConfig

OBSERVED, ACTIONS = 24, 2  # numbers that the peers' own models see and do
PETS = {"population": 350, "iterations": 5, "horizon": 15, "particles": 20}


def planners(folder: Path) -> dict[str, tuple[Run, int]]:
    """Name -> one plan, and how many steps it imagines."""
    sys.path.insert(0, str(folder))
    torch.set_num_threads(1)
    return {
        "ours": ours(),
        "TD-MPC2": tdmpc2(folder / "tdmpc2" / "tdmpc2"),
        "pytorch_mppi": pytorch_mppi(110, 15),
        "mbrl-lib PETS": pets(),
    }


def ours() -> tuple[Run, int]:
    """The planner as it drives."""
    backend: Any = make_backend_of(read_weights(model_path(DEFAULT_MODEL)))
    planner = Planner(backend, PlannerConfig())
    ahead = np.arange(51.0)
    reference = np.stack([ahead, np.zeros_like(ahead)], -1)
    steps = 0

    def counted(ask: Callable, times: int) -> Callable:
        def asked(latent: Any, state: np.ndarray, actions: np.ndarray) -> Any:
            nonlocal steps
            steps += times * actions.shape[0] * actions.shape[1]
            return ask(latent, state, actions)

        return asked

    plain = backend.imagine, backend.imagine_members
    backend.imagine = counted(plain[0], 1)
    backend.imagine_members = counted(plain[1], backend.members)

    def run() -> object:
        return planner.plan(backend.initial(), STATE, reference)

    run()
    backend.imagine, backend.imagine_members = plain
    return run, steps


def tdmpc2(source: Path) -> tuple[Run, int]:
    """Its own plan; its constructor asks for a GPU, so the planner is put together without it."""
    import yaml

    sys.path.insert(0, str(source))
    agent_of = importlib.import_module("tdmpc2").TDMPC2
    model_of = importlib.import_module("common.world_model").WorldModel
    values = yaml.safe_load((source / "config.yaml").read_text())
    for key in ("lr", "entropy_coef"):
        values[key] = float(values[key])
    values |= importlib.import_module("common").MODEL_SIZE[5]
    values |= {"multitask": False, "task_dim": 0, "action_dim": ACTIONS, "compile": False,
               "obs_shape": {"state": (OBSERVED,)}, "episodic": False}  # fmt: skip
    values["bin_size"] = (values["vmax"] - values["vmin"]) / (values["num_bins"] - 1)

    class Config(SimpleNamespace):
        def get(self, name: str, default: Any = None) -> Any:
            return getattr(self, name, default)

    c = Config(**values)
    agent = agent_of.__new__(agent_of)
    torch.nn.Module.__init__(agent)
    agent.cfg, agent.device, agent.discount = c, torch.device("cpu"), 0.99
    agent.model = model_of(c).eval()
    agent._prev_mean = torch.nn.Buffer(torch.zeros(c.horizon, ACTIONS))
    seen = torch.zeros(1, OBSERVED)
    steps = c.num_samples * c.iterations * c.horizon + c.num_pi_trajs * c.horizon
    return lambda: agent._plan(seen), steps


@torch.inference_mode()
def pytorch_mppi(sequences: int, horizon: int) -> tuple[Run, int]:
    """On the shipped model, by its training code's modules."""
    mppi = importlib.import_module("pytorch_mppi").MPPI
    model = load_checkpoint(model_path(DEFAULT_MODEL))
    rssm, width = model.rssm, model.config.deter
    start = model.initial()
    flat = rssm.latent.flat(start.stoch)
    first = torch.cat([start.deter, flat, torch.from_numpy(STATE)[None]], -1)

    def dynamics(states: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        deter, stoch, ego = states.split([width, flat.shape[1], len(STATE)], -1)
        ego, motion = model.ego(ego, actions)
        drive = drive_input(actions[:, None], motion[:, None], ego[:, None, :1])[:, 0]
        deter, _ = rssm.transition(deter, stoch, drive)
        stoch = rssm.latent.flat(rssm.latent.mode(rssm.priors[0](deter)))
        return torch.cat([deter, stoch, ego], -1)

    def cost(states: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        return model.head(states[:, : -len(STATE)])[:, 0]

    limits = torch.ones(ACTIONS)
    planner = mppi(dynamics, cost, first.shape[1], 0.1 * torch.eye(ACTIONS), num_samples=sequences,
                   horizon=horizon, u_min=-limits, u_max=limits)  # fmt: skip

    @torch.inference_mode()
    def run() -> object:
        return planner.command(first[0])

    return run, sequences * horizon


def pets() -> tuple[Run, int]:
    """mbrl-lib's probabilistic ensembles with trajectory sampling, planned by CEM."""
    models = importlib.import_module("mbrl.models")
    trajectory = importlib.import_module("mbrl.planning.trajectory_opt")
    network = models.GaussianMLP(OBSERVED + ACTIONS, OBSERVED + 1, "cpu", num_layers=4,
                                 ensemble_size=7, hid_size=200,
                                 propagation_method="random_model")  # fmt: skip
    model = models.OneDTransitionRewardModel(network, learned_rewards=True)
    spaces = SimpleNamespace(observation_space=None, action_space=None)
    never = lambda actions, seen: torch.zeros(len(seen), 1, dtype=torch.bool)  # noqa: E731
    env = models.ModelEnv(spaces, model, never)
    shape = (PETS["horizon"], ACTIONS)
    planner = trajectory.CEMOptimizer(PETS["iterations"], 0.1, PETS["population"],
                                      -np.ones(shape), np.ones(shape), 0.1,
                                      torch.device("cpu"))  # fmt: skip
    seen, begin = np.zeros(OBSERVED, np.float32), torch.zeros(shape)

    def value(sequences: torch.Tensor) -> torch.Tensor:
        return env.evaluate_action_sequences(sequences, seen, PETS["particles"])

    return lambda: planner.optimize(value, begin), int(np.prod(list(PETS.values())))
