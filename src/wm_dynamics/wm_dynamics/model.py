"""The world model: encoder, RSSM, heads and mask decoder, plus the ego-dynamics net."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

from wm_dynamics.bev import unpack_bev
from wm_dynamics.config import ModelConfig
from wm_dynamics.ego import EgoNet
from wm_dynamics.heads import HEADS, head_values
from wm_dynamics.imagine import FastImagination
from wm_dynamics.networks import Decoder, Encoder, perceptron
from wm_dynamics.rollout import LatentState, Rollout
from wm_dynamics.rssm import RSSM, States, drive_input


class WorldModel(nn.Module):
    """Everything learned, behind three verbs: observe, imagine, decode.

    Attributes:
        config: shapes and time step.
        metadata: provenance of the weights (data hash, metrics ...), empty when untrained.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.metadata: dict = {}
        features = config.deter + config.stoch
        self.ego = EgoNet(config.ego_hidden, config.dt)
        self.encoder = Encoder(config)
        self.rssm = RSSM(config)
        self.head = perceptron(features, config.hidden, len(HEADS), layers=2)
        self.decoder = Decoder(
            features, config.decoder_channels, config.bev_channels, config.bev_size
        )
        # Same weights, channels innermost in memory, as ``unpack_bev`` delivers the masks.
        self.encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.decoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._fast: FastImagination | None = None
        self._hash = ""

    @classmethod
    def untrained(cls, config: ModelConfig, seed: int = 0) -> WorldModel:
        """Random weights that depend on ``seed`` only; the global random state is left alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(config).eval()

    @property
    def hash(self) -> str:
        """First 16 hex digits of the SHA-256 of all weights: the identity of this model."""
        if not self._hash:
            digest = hashlib.sha256()
            for name, tensor in sorted(self.state_dict().items()):
                digest.update(name.encode())
                digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
            self._hash = digest.hexdigest()[:16]
        return self._hash

    def refresh(self) -> None:
        """Forget what was derived from the weights (the hash, the rollout tables)."""
        self._fast, self._hash = None, ""

    def train(self, mode: bool = True) -> WorldModel:
        """Switch training mode; weights may change afterwards, so derived values are dropped."""
        self.refresh()
        return super().train(mode)

    # ------------------------------------------------------------------ inference

    def initial(self, batch: int = 1) -> LatentState:
        """The belief before anything was seen, for ``batch`` sequences."""
        with torch.inference_mode():
            deter, stoch = self.rssm.initial(batch)
            return LatentState(deter.clone(), self._classes(stoch))

    @torch.inference_mode()
    def observe_step(
        self,
        latent: LatentState,
        action: torch.Tensor,
        motion: torch.Tensor,
        bev: torch.Tensor,
        state: torch.Tensor,
        route: torch.Tensor,
    ) -> tuple[LatentState, torch.Tensor]:
        """One filter step of length ``config.dt``.

        Args:
            latent: belief one step ago.
            action: (B, 2) mean steer and accel of the step that led here.
            motion: (B, 3) dx, dy [m], dyaw [rad] of that step, in the frame it started from.
            bev: (B, C, S, S) masks of 0/1 (any dtype), or (B, S, S) uint8 bitmask.
            state: (B, 5).
            route: (B, R).

        Returns:
            The belief now (mode of the posterior) and the surprise (B,): KL(posterior || mean
            prior) in nats, high when the world did what the model did not expect.
        """
        if bev.dim() == 3:
            bev = unpack_bev(bev, self.config.bev_channels)
        rssm = self.rssm
        embedding = self.encoder(bev.float(), state, route)
        deter = rssm.transition(
            latent.deter, self._onehot(latent.stoch), drive_input(action, motion, state[:, :1])
        )
        posterior = rssm.probs(rssm.posterior(torch.cat([deter, embedding], -1)))
        prior = torch.stack([rssm.probs(member(deter)) for member in rssm.priors]).mean(0)
        surprise = (posterior * (posterior.log() - prior.log())).sum((-1, -2))
        return LatentState(deter, posterior.argmax(-1)), surprise

    @torch.inference_mode()
    def perceive(self, latent: LatentState) -> dict[str, torch.Tensor]:
        """Head values at the present belief, each (B,)."""
        features = torch.cat([latent.deter, self._onehot(latent.stoch)], -1)
        return head_values(self.head(features))

    def imagine(
        self, latent: LatentState, ego_state: torch.Tensor, actions: torch.Tensor
    ) -> Rollout:
        """Imagine N futures of H steps.

        Args:
            latent: belief now, B = 1 (shared by all candidates) or B = N.
            ego_state: (5,) or (N, 5) proprioception now.
            actions: (N, H, 2) steer and accel in [-1, 1], each held ``config.dt`` seconds.

        Returns:
            The futures; deterministic for given weights and inputs.
        """
        if self._fast is None:
            self._fast = FastImagination(self)
        return self._fast(latent, ego_state, actions)

    @torch.inference_mode()
    def decode(self, latent: LatentState) -> torch.Tensor:
        """Probabilities of the masks, (B, C, S/2, S/2): what the model believes it sees."""
        features = torch.cat([latent.deter, self._onehot(latent.stoch)], -1)
        return torch.sigmoid(self.decoder(features))

    # ------------------------------------------------------------------ training

    def observe(self, masks: torch.Tensor, batch: dict[str, torch.Tensor]) -> States:
        """Posterior states along training windows.

        Args:
            masks: (B, T, C, S, S) 0/1.
            batch: "state" (B, T, 5), "route" (B, T, R), "action" (B, T, 2), "motion" (B, T, 3).
        """
        shape = masks.shape[:2]
        embedding = self.encoder(
            masks.flatten(0, 1), batch["state"].flatten(0, 1), batch["route"].flatten(0, 1)
        ).unflatten(0, shape)
        return self.rssm.observe(embedding, window_drive(batch))

    def _onehot(self, stoch: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.one_hot(stoch, self.config.classes).float().flatten(-2)

    def _classes(self, onehot: torch.Tensor) -> torch.Tensor:
        return onehot.unflatten(-1, (self.config.groups, self.config.classes)).argmax(-1)


def window_drive(batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """The recurrent model's drive input along windows, (B, T, 6)."""
    return drive_input(batch["action"], batch["motion"], batch["state"][..., :1])
