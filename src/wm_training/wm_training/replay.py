"""Training windows as a replay buffer of torchrl: uniform, by priority, or by event.

The buffer holds the first frames of all windows; what is drawn from it is read from the
memory-mapped store. Where windows are not drawn alike each comes with its importance, so that
weighted means over draws are the plain means over the data.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchrl.data import RandomSampler, ReplayBuffer, TensorStorage
from torchrl.data.replay_buffers.samplers import Sampler
from torchrl.data.replay_buffers.storages import Storage

from wm_training.sampler import Draw, Kind, WindowSampler
from wm_training.store import Store

# Share of the draws of "event" by what happens in the window; the rest is uniform over all, so
# that no importance is above 1 / rest (a defensive mixture: Hesterberg 1995, Technometrics 37).
EVENTS: dict[str, float] = {"collision": 0.1, "near": 0.1, "red_violation": 0.1, "off_road": 0.1}
# Of "prioritised", as in Schaul et al. 2016, arXiv 1511.05952, table 3.
ALPHA, BETA = 0.6, 0.4
LEVEL_RATE = 0.01  # of the moving average that priorities are relative to
ALIKE = 0.25  # windows shifted by less than this share of their length are as hard


class WeightedSampler(Sampler):
    """Draws items in proportion to priority ** alpha, with importance (N P(i)) ** -beta.

    What torchrl's own ``PrioritizedSampler`` does, without its compiled segment tree: that binary
    is there for one release of torch only. A running sum over a third of a million priorities
    takes a millisecond, and only after priorities changed.

    Args:
        priority: (N,) positive.
        alpha: 0 is uniform.
        beta: 1 makes weighted means unbiased.
    """

    def __init__(self, priority: torch.Tensor, alpha: float = 1.0, beta: float = 1.0):
        self.alpha, self.beta = alpha, beta
        self.mass = priority.double() ** alpha
        self._total: torch.Tensor | None = None  # running sum of the masses

    def sample(self, storage: Storage, batch_size: int) -> tuple[torch.Tensor, dict]:
        """Indices (B,) of items of ``storage`` and their "priority_weight" (B,)."""
        if self._total is None:
            self._total = self.mass.cumsum(0)
        mass = torch.rand(batch_size, dtype=torch.float64, generator=self._rng) * self._total[-1]
        index = torch.searchsorted(self._total, mass, right=True).clamp_max(len(self._total) - 1)
        share = self.mass[index] / self._total[-1]
        return index, {"priority_weight": (len(storage) * share) ** -self.beta}

    def update_priority(
        self,
        index: int | torch.Tensor,
        priority: float | torch.Tensor,
        *,
        storage: Storage | None = None,
    ) -> None:
        """Set the priorities of the items ``index``."""
        self.mass[index] = torch.as_tensor(priority, dtype=torch.float64) ** self.alpha
        self._total = None

    def state_dict(self) -> dict[str, Any]:
        """Everything but the generator, which belongs to the buffer."""
        return {"mass": self.mass.clone(), "alpha": self.alpha, "beta": self.beta}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Put back what :meth:`state_dict` gave."""
        self.mass = torch.as_tensor(state_dict["mass"], dtype=torch.float64).clone()
        self.alpha, self.beta = float(state_dict["alpha"]), float(state_dict["beta"])
        self._total = None

    def dumps(self, path: Path | str) -> None:
        """Write the state into the folder ``path``."""
        Path(path).mkdir(exist_ok=True)
        np.savez(Path(path) / "weighted.npz", **self.state_dict())

    def loads(self, path: Path | str) -> None:
        """Read what :meth:`dumps` wrote."""
        with np.load(Path(path) / "weighted.npz") as state:
            self.load_state_dict(state)

    def _empty(self) -> None:
        self.mass, self._total = self.mass[:0], None


class ReplaySampler(WindowSampler):
    """Windows drawn by a torchrl replay buffer; seeded and resumable as any.

    Args:
        kind: "uniform": all windows alike. "event": rare events by :data:`EVENTS`, with the
            importance that makes up for it. "prioritised": what the model found hard, with an
            importance that makes up for it the more, the further the run is.
        store, length, stride, seed, streams: as :class:`~wm_training.sampler.WindowSampler` has
            them.

    Raises:
        UserError: as there.
    """

    def __init__(
        self,
        kind: Kind,
        store: Store,
        length: int,
        stride: int,
        seed: int = 0,
        streams: Sequence[str] = (),
    ):
        super().__init__(store, length, stride, seed, pools={}, streams=streams)
        self.level: float | None = None  # of the losses lately
        self.weighted: WeightedSampler | None = None
        if kind == "event":
            self.weighted = WeightedSampler(self._event_shares())
        elif kind == "prioritised":
            # A window nobody has looked at is as hard as the average one.
            self.weighted = WeightedSampler(torch.ones(len(self.starts)), ALPHA, BETA)
        self.learns = kind == "prioritised"
        self.generator = torch.Generator().manual_seed(seed)
        self.buffer = ReplayBuffer(
            storage=TensorStorage(torch.from_numpy(self.starts)),
            sampler=self.weighted or RandomSampler(),
            generator=self.generator,
        )

    def _event_shares(self) -> torch.Tensor:
        """(N,) probability of every window."""
        windows = len(self.starts)
        shares, rest = np.zeros(windows), 1.0
        for name, share in EVENTS.items():
            eventful = np.isin(self.starts, self._starts_with(self.store.label(name) > 0))
            if eventful.any():
                shares[eventful] += share / eventful.sum()
                rest -= share
        return torch.from_numpy(shares + rest / windows)

    def draw(self, size: int, progress: float = 0.0) -> Draw:
        """Choose ``size`` windows; ``progress`` anneals the importance, 0 to 1."""
        if self.weighted is not None and self.learns:
            self.weighted.beta = BETA + (1.0 - BETA) * min(1.0, progress)
        starts, info = self.buffer.sample(size, return_info=True)
        weight = info.get("priority_weight")
        return Draw(starts.numpy(), None if weight is None else weight.float().numpy())

    def update(self, draw: Draw, losses: torch.Tensor) -> None:
        """Make windows likelier whose losses (B,) were high, and those that are nearly the same."""
        if self.weighted is None or not self.learns:
            return
        found = losses.detach().double().cpu().numpy()
        mean = float(np.average(found, weights=draw.weight))
        self.level = mean if self.level is None else self.level + LEVEL_RATE * (mean - self.level)
        reach = round(ALIKE * self.length * self.stride)
        for start, loss in zip(draw.starts, found, strict=True):
            first, last = np.searchsorted(self.starts, (start - reach + 1, start + reach))
            near = np.arange(first, last)
            same = near[self.episode[self.starts[near]] == self.episode[start]]
            self.buffer.update_priority(torch.from_numpy(same), loss / self.level)

    def state(self) -> dict:
        """JSON-able: both generators, and the priorities if they are learned."""
        state: dict[str, Any] = {
            "numpy": super().state(),
            "torch": _pack(self.generator.get_state().numpy()),
        }
        if self.weighted is not None and self.learns:
            state |= {"level": self.level, "mass": _pack(self.weighted.mass.numpy())}
        return state

    def restore(self, state: dict) -> None:
        """Continue exactly where :meth:`state` was taken."""
        super().restore(state["numpy"])
        self.generator.set_state(torch.from_numpy(_unpack(state["torch"], np.uint8)))
        if self.weighted is not None and self.learns:
            self.level = state["level"]
            mass = torch.from_numpy(_unpack(state["mass"], np.float64))
            self.weighted.load_state_dict(self.weighted.state_dict() | {"mass": mass})


def _pack(array: np.ndarray) -> str:
    """The bytes of an array as text, compressed: most priorities are the same."""
    return base64.b64encode(zlib.compress(array.tobytes(), 1)).decode()


def _unpack(text: str, dtype: type) -> np.ndarray:
    """What :func:`_pack` was given, flat."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype).copy()
