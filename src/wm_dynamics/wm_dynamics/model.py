"""The world model: encoder, latent dynamics, heads and decoders, plus the ego-dynamics net."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import nn

from wm_dynamics.bev import unpack_bev
from wm_dynamics.config import ModelConfig
from wm_dynamics.decoder import CameraDecoder, Decoder
from wm_dynamics.ego import SPEED_SCALE, EgoNet
from wm_dynamics.encoder import Encoder
from wm_dynamics.errors import UserError
from wm_dynamics.forecast import Forecast
from wm_dynamics.heads import HEADS, head_values
from wm_dynamics.imagine import FastImagination
from wm_dynamics.networks import perceptron
from wm_dynamics.novelty import Novelty
from wm_dynamics.packed import packed, share_weights
from wm_dynamics.rollout import LatentState, Observed, Rollout
from wm_dynamics.rssm import RSSM, States, drive_input
from wm_dynamics.step_linear import loop_dtype
from wm_dynamics.streams import hide_streams, network_inputs


class WorldModel(nn.Module):
    """Everything learned, behind three verbs: observe, imagine, decode.

    Attributes:
        config: shapes and time step.
        metadata: provenance of the weights (data hash, metrics ...), empty when untrained.
        novelty: what usual driving looks like to these weights, None where nobody has measured it.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.metadata: dict = {}
        self.novelty: Novelty | None = None
        features = config.deter + config.stoch
        self.ego = EgoNet(config.ego_hidden, config.dt)
        self.encoder = Encoder(config)
        self.rssm = RSSM(config)
        self.head = perceptron(features, config.hidden, len(HEADS), layers=2)
        channels, side = config.decoder_channels, config.bev_size
        self.decoder: Decoder | None = None
        if config.decode_bev:
            self.decoder = Decoder(features, channels, config.bev_channels, side, side)
        self.forecast: Forecast | None = None
        if config.forecast_channels:
            self.forecast = Forecast(features, config)
        self.camera_decoder: CameraDecoder | None = None
        if config.camera:
            self.camera_decoder = CameraDecoder(features, channels, config.camera)
        # Same weights, channels innermost in memory, as masks and images are delivered.
        for part in (self.encoder, self.decoder, self.forecast, self.camera_decoder):
            if part is not None:
                part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
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

    def packed(self) -> WorldModel:
        """A copy to filter with, one row at a time, see :mod:`wm_dynamics.packed`.

        Its beliefs differ from this model's by the rounding of bfloat16. It imagines, predicts
        and draws by the same weights; stale once they change.
        """
        if self._fast is None:
            self._fast = FastImagination(self)
        clone = share_weights(self, keep=(self._fast,))
        clone.encoder, clone.rssm = packed(self.encoder), packed(self.rssm)
        clone._hash = self.hash
        return clone

    def initial(self, batch: int = 1) -> LatentState:
        """The belief before anything was seen, for ``batch`` sequences."""
        with torch.inference_mode():
            deter, stoch, memory = self.rssm.initial(batch)
            memory = None if memory is None else memory.clone()
            return LatentState(deter.clone(), self.rssm.latent.compress(stoch), memory)

    @torch.inference_mode()
    def observe_step(
        self,
        latent: LatentState,
        action: torch.Tensor,
        motion: torch.Tensor,
        bev: torch.Tensor | None = None,
        state: torch.Tensor | None = None,
        route: torch.Tensor | None = None,
        **sensors: torch.Tensor | None,
    ) -> tuple[LatentState, torch.Tensor]:
        """One filter step of length ``config.dt``.

        A stream that is None or not given is missing; only a model trained with modality dropout
        can do without one.

        Args:
            latent: belief one step ago.
            action: (B, 2) mean steer and accel of the step that led here.
            motion: (B, 3) dx, dy [m], dyaw [rad] of that step, in the frame it started from.
            bev: (B, C, S, S) masks of 0/1 (any dtype), or (B, S, S) uint8 bitmask.
            state: (B, 5).
            route: (B, R).
            sensors: further streams by name, see :mod:`wm_dynamics.streams`.

        Returns:
            The belief now (mode of the posterior) and the surprise (B,): KL(posterior || mean
            prior) in nats, high when the world did what the model did not expect.

        Raises:
            UserError: a needed stream is missing or has the wrong shape.
        """
        given = {"bev": bev, "state": state, "route": route, **sensors}
        streams = {name: value for name, value in given.items() if value is not None}
        seen = self.observe_closely(latent, action, motion, streams)
        return seen.latent, seen.surprise

    @torch.inference_mode()
    def observe_closely(
        self,
        latent: LatentState,
        action: torch.Tensor,
        motion: torch.Tensor,
        streams: Mapping[str, torch.Tensor],
    ) -> Observed:
        """As :meth:`observe_step`, with what a measure of novelty needs besides.

        Args:
            latent, action, motion: see :meth:`observe_step`.
            streams: those that are there, by name.
        """
        rssm = self.rssm
        belief, posterior, embedding = self._look(latent, action, motion, streams)
        priors = torch.stack([prior(belief.deter) for prior in rssm.priors])
        surprise = rssm.latent.kl(posterior, rssm.latent.average(rssm.dist(priors)))
        return Observed(belief, surprise, rssm.latent.spread(priors), embedding)

    @torch.inference_mode()
    def observe_belief(
        self,
        latent: LatentState,
        action: torch.Tensor,
        motion: torch.Tensor,
        streams: Mapping[str, torch.Tensor],
    ) -> LatentState:
        """The belief of :meth:`observe_closely` alone; what was expected is not worked out."""
        return self._look(latent, action, motion, streams)[0]

    def _look(
        self,
        latent: LatentState,
        action: torch.Tensor,
        motion: torch.Tensor,
        streams: Mapping[str, torch.Tensor],
    ) -> tuple[LatentState, torch.Tensor, torch.Tensor]:
        """The belief now, the posterior whose mode it is, and the embedding (B, E)."""
        rssm = self.rssm
        embedding = self.encoder(network_inputs(streams, self.config)).float()
        drive = drive_input(action, motion, self._speed(streams.get("state"), motion))
        stoch = rssm.latent.flat(latent.stoch)
        deter, memory = rssm.transition(latent.deter, stoch, drive, latent.memory)
        posterior = rssm.posterior_dist(deter, embedding)
        return LatentState(deter, rssm.latent.compact(posterior), memory), posterior, embedding

    @torch.inference_mode()
    def predict_step(
        self,
        latent: LatentState,
        action: torch.Tensor,
        motion: torch.Tensor,
        state: torch.Tensor | None = None,
    ) -> LatentState:
        """One filter step of length ``config.dt`` in which nothing was seen: the prior's belief.

        Args:
            latent, action, motion: see :meth:`observe_step`.
            state: (B, 5) proprioception, for the speed; None: from the motion.

        Returns:
            The belief now: mode of the mean of the priors.
        """
        rssm = self.rssm
        drive = drive_input(action, motion, self._speed(state, motion))
        stoch = rssm.latent.flat(latent.stoch)
        deter, memory = rssm.transition(latent.deter, stoch, drive, latent.memory)
        return LatentState(deter, rssm.latent.compact(rssm.prior_mean(deter)), memory)

    @torch.inference_mode()
    def perceive(self, latent: LatentState) -> dict[str, torch.Tensor]:
        """Head values at the present belief, each (B,)."""
        return head_values(self.head(self._features(latent)))

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

    @property
    def members(self) -> int:
        """K, the size of the ensemble of priors."""
        return len(self.rssm.priors)

    def imagine_members(
        self, latent: LatentState, ego_state: torch.Tensor, actions: torch.Tensor
    ) -> Rollout:
        """The same futures as each ensemble member alone imagines them.

        Args:
            latent, ego_state: see :meth:`imagine`; B = 1, or K * N in the order of the futures.
            actions: (N, H, 2).

        Returns:
            K * N futures, those of the first member first; disagreement is not measured (zeros).
        """
        if self._fast is None:
            self._fast = FastImagination(self)
        return self._fast(latent, ego_state, actions.repeat(self.members, 1, 1), every_member=True)

    @torch.inference_mode()
    def decode(self, latent: LatentState) -> torch.Tensor:
        """Probabilities of the masks, (B, C, S/2, S/2): what the model believes it sees.

        Raises:
            UserError: the model was made without a mask decoder.
        """
        if self.decoder is None:
            raise UserError("this model draws no masks; train one with decode_bev: true")
        return torch.sigmoid(self.decoder(self._features(latent)))

    @torch.inference_mode()
    def draw(
        self, beliefs: Iterable[LatentState], seen: torch.Tensor, path: torch.Tensor
    ) -> Iterator[torch.Tensor]:
        """Probabilities of the masks at each imagined step, H times (B, C, S/2, S/2).

        Args:
            beliefs: the H beliefs imagined, one model step apart.
            seen: (B, S, S) uint8 bit mask or (B, C, S, S) of 0/1: the masks now.
            path: (B, H, 3) x, y (m), yaw (rad) after each step, in the ego frame of now.

        Returns:
            As ``decode``, but as sharp as what was seen where the model has a forecast network.
        """
        masks = seen if seen.dim() == 4 else unpack_bev(seen, self.config.bev_channels)
        picture = self.forecast.begin(masks.to(path.dtype)) if self.forecast else None
        for t, belief in enumerate(beliefs):
            if self.forecast is None or self.decoder is None or picture is None:
                yield self.decode(belief)
                continue
            features = self._features(belief)
            picture = self.forecast.step(picture, features)
            yield torch.sigmoid(self.forecast.look(picture, path[:, t], self.decoder(features)))

    @torch.inference_mode()
    def decode_cameras(self, latent: LatentState) -> dict[str, torch.Tensor]:
        """Images the model believes its cameras see: stream name -> (B, 3, h/2, w/2) in [0, 1].

        (B, 3, h, w) of a model that draws every pixel.
        """
        if self.camera_decoder is None:
            return {}
        images = (self.camera_decoder(self._features(latent)) + 0.5).clamp(0.0, 1.0)
        return dict(zip(self.config.cameras, images.unbind(1), strict=True))

    # ------------------------------------------------------------------ training

    def observe(self, masks: torch.Tensor | None, batch: dict[str, torch.Tensor]) -> States:
        """Posterior states along training windows; in training mode with modality dropout.

        Args:
            masks: (B, T, C, S, S) 0/1, or None where the model does not look at them.
            batch: "action" (B, T, 2), "motion" (B, T, 3) and the other streams, (B, T, ...).
        """
        config, action = self.config, batch["action"]
        rows = action.shape[:2]
        dtype = loop_dtype(self.rssm.inp.weight) if masks is None else masks.dtype
        given = batch if masks is None else {**batch, "bev": masks}
        flat = {n: given[n].flatten(0, 1) for n in config.streams if n in given}
        present: dict[str, torch.Tensor] = {}
        if self.training and config.modality_dropout:
            # A sensor that is missing stays missing for a whole window.
            seen = hide_streams(tuple(flat), rows[0], config.modality_dropout, action.device)
            present = {name: x.repeat_interleave(rows[1]) for name, x in seen.items()}
        embedding = self.encoder(network_inputs(flat, config, dtype), present)
        speed = self._speed(batch.get("state"), batch["motion"])
        if "state" in present:
            seen_state = present["state"].view(*rows, 1)
            speed = torch.where(seen_state, speed, self._speed(None, batch["motion"]))
        drive = drive_input(action, batch["motion"], speed)
        return self.rssm.observe(embedding.unflatten(0, rows), drive)

    def _features(self, latent: LatentState) -> torch.Tensor:
        """(B, D + width of stoch), the input of heads and decoders."""
        return torch.cat([latent.deter, self.rssm.latent.flat(latent.stoch)], -1)

    def _speed(self, state: torch.Tensor | None, motion: torch.Tensor) -> torch.Tensor:
        """speed/10 (..., 1) as measured, or else from the distance of the last step."""
        if state is not None:
            return state[..., :1]
        return motion[..., :1] / (self.config.dt * SPEED_SCALE)


def window_drive(batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """The core's drive input along windows, (B, T, 6)."""
    return drive_input(batch["action"], batch["motion"], batch["state"][..., :1])
