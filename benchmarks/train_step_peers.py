"""Other projects' Dreamers for ``train_step.py``, at the same sizes and on the same workload.

Nothing of theirs is in this repository: TorchRL is imported as installed, the others from a folder
that the user gives. Each is wired as its own training script wires it, in float32 unless said.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable
from typing import Any

import torch
from train_step_worker import Subject, Workload


def build(name: str, workload: Workload, path: str | None) -> Subject:
    """One of the peers by name."""
    if name.startswith("torchrl"):
        from train_step_torchrl import TorchRL

        peer = TorchRL(workload, bf16=name == "torchrl_bf16")
        return Subject(name, peer.parameters(), peer.precision, peer.calls())
    if not path:
        raise SystemExit(f"{name} needs the folder of its source")
    sys.path.insert(0, path)
    if name == "r2dreamer":
        return r2dreamer(workload, path)
    return dreamerv3_torch(workload, path)


def millions(modules: Iterable[torch.nn.Module]) -> float:
    """Parameters, each counted once."""
    unique = {id(p): p for module in modules for p in module.parameters()}
    return sum(p.numel() for p in unique.values()) / 1e6


def spaces(workload: Workload) -> types.SimpleNamespace:
    """Observation space as both NM512 projects read it."""
    shapes = {"image": (workload.image, workload.image, 3)}
    shapes |= dict.fromkeys(("is_first", "is_terminal", "is_last"), ())
    return types.SimpleNamespace(
        spaces={name: types.SimpleNamespace(shape=shape) for name, shape in shapes.items()}
    )


# ------------------------------------------------------------------ NM512/r2dreamer


def r2dreamer(workload: Workload, path: str) -> Subject:
    """NM512/r2dreamer with a decoder (its DreamerV3), size 12M."""
    from omegaconf import OmegaConf  # type: ignore[import-not-found]
    from tensordict import TensorDict

    size = OmegaConf.load(f"{path}/configs/model/size12M.yaml")
    size.pop("defaults")
    model = OmegaConf.merge(
        OmegaConf.load(f"{path}/configs/model/_base_.yaml"), size,
        OmegaConf.create({"deter": workload.width}),
    )  # fmt: skip
    keys = {"mlp_keys": "$^", "cnn_keys": "image"}
    root = OmegaConf.create(
        {"device": "cpu", "model": model, "env": {"encoder": keys, "decoder": keys}}
    )
    root.model.rep_loss, root.model.compile = "dreamer", False
    root.model.imag_horizon = workload.horizon
    OmegaConf.resolve(root)
    from dreamer import Dreamer  # type: ignore[import-not-found]

    actions = types.SimpleNamespace(shape=(workload.actions,))
    agent: Any = Dreamer(root.model, spaces(workload), actions)
    agent.clone_and_freeze()
    agent._scaler._enabled = False  # float16 scaling is of the GPU setting
    b, t, side = workload.batch, workload.length, workload.image
    data = TensorDict(
        {
            "image": torch.randint(0, 255, (b, t, side, side, 3), dtype=torch.uint8),
            "action": torch.rand(b, t, workload.actions) * 2 - 1,
            "reward": torch.randn(b, t, 1),
            "is_first": torch.zeros(b, t, dtype=torch.bool),
            "is_last": torch.zeros(b, t, 1),
            "is_terminal": torch.zeros(b, t, 1),
        },
        (b, t),
    )
    data["is_first"][:, 0] = True
    calls = R2DreamerCalls(agent, data, workload)
    world = [agent.encoder, agent.rssm, agent.reward, agent.cont, agent.decoder]
    return Subject(
        "r2dreamer",
        {"world_model": millions(world), "behavior": millions([agent.actor, agent.value])},
        "float32",
        {
            "act": calls.act,
            "rssm": calls.rssm,
            "imagine": lambda: agent._imagine(calls.state, workload.horizon),
            "world_model": calls.world_model,
            "behavior": calls.behavior,
        },
    )


class R2DreamerCalls:
    """The two halves of its ``Dreamer._cal_grad``, each with backward and optimiser step."""

    def __init__(self, agent: Any, data: Any, workload: Workload):
        self.agent, self.data = agent, data
        self.initial = agent.rssm.initial(workload.batch)
        self.embedding = torch.randn(workload.batch, workload.length, agent.embed_size)
        self.state = agent.rssm.initial(workload.starts)
        with torch.no_grad():
            stoch, deter, _ = self._loss()
        self.posterior = stoch.detach(), deter.detach()
        self.seen = type(data)(
            {"image": data["image"][:1, 0], "is_first": torch.zeros(1, dtype=torch.bool)}, (1,)
        )
        self.belief = agent.get_initial_state(1)

    def act(self) -> None:
        """One observation to one action."""
        self.agent.act(self.seen.clone(), self.belief, eval=True)

    def rssm(self) -> None:
        """Recurrence and KL, forward and backward, embeddings given."""
        rssm = self.agent.rssm
        _, deter, logits = rssm.observe(
            self.embedding, self.data["action"], self.initial, self.data["is_first"]
        )
        dynamics, representation = rssm.kl_loss(logits, rssm.prior(deter)[1], 1.0)
        (dynamics.mean() + 0.1 * representation.mean()).backward()
        rssm.zero_grad()

    def world_model(self) -> None:
        """One update of the world model."""
        self._loss()[2].backward()
        self._finish()

    def behavior(self) -> None:
        """One update of actor and critic."""
        agent = self.agent
        agent._update_slow_target()
        start = tuple(x.reshape(-1, *x.shape[2:]) for x in self.posterior)
        features, actions = (x.detach() for x in agent._imagine(start, agent.imag_horizon + 1))
        reward, going = agent._frozen_reward(features).mode(), agent._frozen_cont(features).mean
        value = agent._frozen_value(features).mode()
        slow = agent._frozen_slow_value(features).mode()
        discount = 1 - 1 / agent.horizon
        weight = torch.cumprod(going * discount, 1)[:, :-1].detach()
        returns = agent._lambda_return(
            torch.zeros_like(going), 1 - going, reward, value, value, discount, agent.lamb
        )
        _, scale = agent.return_ema(returns)
        advantage = ((returns - value[:, :-1]) / scale).detach()
        policy = agent.actor(features)
        score = policy.log_prob(actions)[:, :-1].unsqueeze(-1)
        entropy = policy.entropy()[:, :-1].unsqueeze(-1)
        actor = torch.mean(weight * -(score * advantage + agent.act_entropy * entropy))
        critic = agent.value(features)
        target = torch.cat([returns, 0 * returns[:, -1:]], 1).detach()
        error = -critic.log_prob(target) - critic.log_prob(slow.detach())
        (actor + torch.mean(weight * error[:, :-1].unsqueeze(-1))).backward()
        self._finish()

    def _loss(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        agent, data = self.agent, self.agent.preprocess(self.data.clone())
        embedding = agent.encoder(data)
        stoch, deter, logits = agent.rssm.observe(
            embedding, data["action"], self.initial, data["is_first"]
        )
        pulls = agent.rssm.kl_loss(logits, agent.rssm.prior(deter)[1], agent.kl_free)
        losses = {name: x.mean() for name, x in zip(("dyn", "rep"), pulls, strict=True)}
        for name, drawn in agent.decoder(stoch, deter).items():
            losses[name] = torch.mean(-drawn.log_prob(data[name]))
        features = agent.rssm.get_feat(stoch, deter)
        losses["rew"] = torch.mean(-agent.reward(features).log_prob(data["reward"]))
        losses["con"] = torch.mean(-agent.cont(features).log_prob(1.0 - data["is_terminal"]))
        return stoch, deter, sum(x * agent._loss_scales[k] for k, x in losses.items())

    def _finish(self) -> None:
        agent = self.agent
        agent._agc(agent._named_params.values())
        agent._optimizer.step()
        agent._scheduler.step()
        agent._optimizer.zero_grad(set_to_none=True)


# ------------------------------------------------------------------ NM512/dreamerv3-torch


def dreamerv3_torch(workload: Workload, path: str) -> Subject:
    """NM512/dreamerv3-torch with a dense GRU of 448, which makes it as large as the others."""
    import numpy as np
    from ruamel import yaml  # type: ignore[import-not-found]

    with open(f"{path}/configs.yaml") as file:
        config = yaml.YAML(typ="safe", pure=True).load(file)["defaults"]
    width = 448 * workload.width // 2048
    config |= {
        "device": "cpu", "compile": False, "precision": 32, "num_actions": workload.actions,
        "imag_horizon": workload.horizon, "batch_size": workload.batch,
        "batch_length": workload.length, "size": [workload.image, workload.image],
        "dyn_deter": width, "dyn_hidden": width, "units": width,
    }  # fmt: skip
    config["encoder"]["cnn_depth"] = config["decoder"]["cnn_depth"] = 24
    settings = types.SimpleNamespace(**config)
    import models  # type: ignore[import-not-found]

    world: Any = models.WorldModel(spaces(workload), None, 0, settings)
    behavior: Any = models.ImagBehavior(settings, world)
    for module in (world, behavior):
        module.requires_grad_(False)  # as its training script does
    b, t, side = workload.batch, workload.length, workload.image
    random = np.random.default_rng(0)
    first = np.zeros((b, t), np.float32)
    first[:, 0] = 1
    data = {
        "image": random.integers(0, 255, (b, t, side, side, 3), dtype=np.uint8),
        "action": random.uniform(-1, 1, (b, t, workload.actions)).astype(np.float32),
        "reward": random.normal(size=(b, t, 1)).astype(np.float32),
        "is_first": first,
        "is_terminal": np.zeros((b, t), np.float32),
        "discount": np.ones((b, t), np.float32),
    }
    calls = DreamerV3TorchCalls(world, behavior, data, workload)
    return Subject(
        "dreamerv3-torch",
        {
            "world_model": millions([world]),
            "behavior": millions([behavior.actor, behavior.value]),
        },
        "float32",
        {
            "act": calls.act,
            "rssm": calls.rssm,
            "imagine": calls.imagine,
            "world_model": calls.update,
            "behavior": calls.update_behavior,
        },
    )


class DreamerV3TorchCalls:
    """Its two ``_train`` methods, and their parts."""

    def __init__(self, world: Any, behavior: Any, data: dict, workload: Workload):
        self.world, self.behavior, self.data, self.workload = world, behavior, data, workload
        b, t = workload.batch, workload.length
        self.posterior = self.update()
        self.embedding = torch.randn(b, t, world.embed_size)
        self.given = torch.rand(b, t, workload.actions) * 2 - 1, torch.tensor(data["is_first"])
        start = world.dynamics.initial(workload.starts)
        self.start = {k: v.detach().reshape(b, t, *v.shape[1:]) for k, v in start.items()}
        self.seen = {k: data[k][:1, 0] for k in ("image", "is_first", "is_terminal")}
        self.seen["is_first"] = self.seen["is_first"] * 0
        self.belief = world.dynamics.initial(1)

    @torch.no_grad()
    def act(self) -> None:
        """One observation to one action."""
        world = self.world
        seen = world.preprocess({k: v.copy() for k, v in self.seen.items()})
        belief, _ = world.dynamics.obs_step(
            {k: v.clone() for k, v in self.belief.items()},
            torch.zeros(1, self.workload.actions), world.encoder(seen), seen["is_first"],
        )  # fmt: skip
        self.behavior.actor(world.dynamics.get_feat(belief)).mode()

    def rssm(self) -> None:
        """Recurrence and KL, forward and backward, embeddings given."""
        dynamics, (actions, first) = self.world.dynamics, self.given
        dynamics.requires_grad_(True)
        posterior, prior = dynamics.observe(self.embedding, actions.clone(), first)
        dynamics.kl_loss(posterior, prior, 1.0, 0.5, 0.1)[0].mean().backward()
        dynamics.zero_grad()
        dynamics.requires_grad_(False)

    @torch.no_grad()
    def imagine(self) -> None:
        """The actor's futures from every posterior."""
        self.behavior._imagine(self.start, self.behavior.actor, self.workload.horizon)

    def update(self) -> Any:
        """One update of the world model; the posterior."""
        return self.world._train({k: v.copy() for k, v in self.data.items()})[0]

    def update_behavior(self) -> None:
        """One update of actor and critic, through the dynamics as its defaults have it."""
        world = self.world
        self.behavior._train(
            self.posterior,
            lambda f, s, a: world.heads["reward"](world.dynamics.get_feat(s)).mode(),
        )
