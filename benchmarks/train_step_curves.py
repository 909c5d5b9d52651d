"""What ours and TorchRL's DreamerV3 learn from the same pictures, update by update.

The pictures are the simulator's camera at 64 px while a simple driver follows routes: one town to
learn from, another to measure on. Both systems see images and actions alone (ours gets no odometry,
no state, no route) in the same windows in the same order, and are measured on the same held-out
windows in the same units: squared error per pixel and colour of images in [0, 1]; KL(posterior ||
prior) in nats per step, both with 32 x 16 classes; absolute error of the reward. Ours runs with its
default learning rate, TorchRL with its own and, as a second curve, with ours.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from train_step_ours import ADAPTIVE_CLIP, COLUMNS, model_config
from train_step_torchrl import RATE, TorchRL
from train_step_worker import QUICK, Workload

from wm_dynamics.heads import LABELS, head_values
from wm_dynamics.kl import balanced_kl
from wm_dynamics.model import WorldModel
from wm_sim.env import DrivingEnv
from wm_training.losses import world_model_loss
from wm_training.optimiser import clip_adaptively, learning_rate
from wm_training.train_config import LossConfig, TrainConfig

IMAGE = Path(__file__).parents[1] / "docs" / "images" / "training_curves.png"
FRAMES, HELD_OUT = 1600, 320
UPDATES, MEASURED = 480, 12  # how often along the way
CRUISE_MPS = 6.0
Curve = list[dict[str, float]]


@dataclass(frozen=True)
class Windows:
    """Driving cut into windows; index (window, step).

    Attributes:
        pixels: (N, T, h, w, 3) uint8.
        action: (N, T, 2) that led to the picture.
        reward: (N, T) of that step.
        going: (N, T) 1 unless the episode ended there.
    """

    pixels: torch.Tensor
    action: torch.Tensor
    reward: torch.Tensor
    going: torch.Tensor

    def take(self, rows: torch.Tensor) -> Windows:
        """Some of them."""
        return Windows(*(x[rows] for x in vars(self).values()))


def drive(town: str, frames: int, length: int, side: int) -> Windows:
    """Follow routes through ``town`` and keep what the front camera sees."""
    env = DrivingEnv(town=town, traffic=12, frame_dt=0.2, camera=(side, side))
    random = np.random.default_rng(0)
    observation, _ = env.reset(seed=0)
    windows: list[list[tuple]] = []
    steps: list[tuple] = []
    while len(windows) * length < frames:
        way = observation["route"].reshape(-1, 2)
        steer = 1.5 * np.arctan2(way[2, 1], way[2, 0]) + 0.1 * random.normal()
        accel = 0.3 * (CRUISE_MPS - 10.0 * observation["state"][0]) + 0.2 * random.normal()
        action = np.clip([steer, accel], -1.0, 1.0).astype(np.float32)
        observation, reward, ended, late, _ = env.step(action)
        steps.append((observation["camera"], action, reward, 1.0 - ended))
        if len(steps) == length:
            windows.append(steps)
            steps = []
        if ended or late:
            observation, _ = env.reset()
            steps = []
    env.close()
    columns = [np.stack([[step[k] for step in w] for w in windows]) for k in range(4)]
    pixels, action, reward, going = (torch.from_numpy(x) for x in columns)
    return Windows(pixels, action.float(), reward.float(), going.float())


class OurSide:
    """This project's model, loss, schedule and optimiser."""

    def __init__(self, workload: Workload, updates: int):
        config = model_config(workload).model_copy(update={"state": False, "route": False})
        self.model = WorldModel.untrained(config).train()
        self.settings = TrainConfig(steps=updates, batch=workload.batch, length=workload.length)
        horizon = min(workload.horizon, workload.length - 4)
        # The weights of a Dreamer, as TorchRL has them: pictures summed over pixels. Our default
        # leaves what matters in a picture to the other heads, which have no labels here.
        self.loss = LossConfig(
            decode_fraction=1.0, horizon=horizon, dynamics=1.0, representation=0.1,
            camera_reconstruction=float(workload.image**2),
        )  # fmt: skip
        self.learned = [p for n, p in self.model.named_parameters() if not n.startswith("ego.")]
        self.optimizer = torch.optim.AdamW(self.learned, 1e-3, betas=(0.9, 0.99), weight_decay=1e-3)
        self.updates, self.step = updates, 0

    def window(self, data: Windows) -> dict[str, torch.Tensor]:
        """As the sampler would give it; what is not known to the other side is zero."""
        rows = data.reward.shape
        labels = torch.zeros(*rows, len(LABELS))
        labels[..., COLUMNS["reward"]] = data.reward
        labels[..., COLUMNS["cont"]] = data.going
        return {
            "camera_front": data.pixels, "action": data.action, "motion": torch.zeros(*rows, 3),
            "state": torch.zeros(*rows, 5), "labels": labels, "mask": torch.ones(rows),
        }  # fmt: skip

    def update(self, data: Windows) -> None:
        """One optimiser step."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.settings, self.step, self.step / self.updates)
        with torch.autocast("cpu", torch.bfloat16):
            loss, _ = world_model_loss(self.model, self.window(data), COLUMNS, self.loss)
        self.optimizer.zero_grad()
        loss.backward()
        clip_adaptively(self.learned, ADAPTIVE_CLIP)
        self.optimizer.step()
        self.step += 1

    @torch.no_grad()
    def measure(self, data: Windows) -> dict[str, float]:
        """On held-out windows, in the units both sides share."""
        window, model = self.window(data), self.model
        with torch.random.fork_rng(), torch.autocast("cpu", torch.bfloat16):
            states = model.observe(None, window)
            assert model.camera_decoder is not None, "made with a camera"
            drawn = model.camera_decoder(states.features.flatten(0, 1)).float() + 0.5
            reward = head_values(model.head(states.features).float())["reward"]
            _, nats = balanced_kl(model.rssm, states, window["mask"])
        truth = data.pixels.flatten(0, 1).movedim(-1, 1)[:, None] / 255.0
        return {
            "image_mse": round(float((drawn - truth).square().mean()), 5),
            "kl_nats": round(float(nats), 5),
            "reward_error": round(float((reward - data.reward).abs().mean()), 5),
        }


class TorchRLSide:
    """TorchRL's model, loss and optimiser."""

    def __init__(self, workload: Workload, rate: float):
        self.peer = TorchRL(workload, rate=rate)

    def _data(self, data: Windows):
        pixels = data.pixels.movedim(-1, 2).contiguous()
        end = (data.going == 0)[..., None]
        return self.peer.windows(pixels, data.action, data.reward[..., None], end)

    def update(self, data: Windows) -> None:
        """One optimiser step."""
        self.peer.update(self._data(data))

    @torch.no_grad()
    def measure(self, data: Windows) -> dict[str, float]:
        """On held-out windows, in the units both sides share."""
        from torchrl.objectives.dreamer_v3 import categorical_kl_terms

        with torch.random.fork_rng():
            out = self.peer.world(self._data(data))["next"]
        nats, _ = categorical_kl_terms(
            out["posterior_logits"][:, 1:], out["prior_logits"][:, 1:], 0.0, 0.01
        )
        truth = data.pixels.movedim(-1, 2) / 255.0
        return {
            "image_mse": round(float((out["reco_pixels"] - truth).square().mean()), 5),
            "kl_nats": round(float(nats), 5),
            "reward_error": round(float((out["reward"][..., 0] - data.reward).abs().mean()), 5),
        }


def learn(side: OurSide | TorchRLSide, train: Windows, held_out: Windows, batch: int,
          updates: int) -> Curve:  # fmt: skip
    """Train for ``updates``, measuring along the way; the same batches for every side."""
    generator = torch.Generator().manual_seed(0)
    curve: Curve = [{"update": 0, "cpu_s": 0.0} | side.measure(held_out)]
    spent = 0.0
    for update in range(1, updates + 1):
        rows = torch.randint(len(train.reward), (batch,), generator=generator)
        begin = time.process_time()
        side.update(train.take(rows))
        spent += time.process_time() - begin
        if update % max(1, updates // MEASURED) == 0:
            curve.append({"update": update, "cpu_s": round(spent, 2)} | side.measure(held_out))
            print(update, curve[-1], flush=True)
    return curve


def draw(curves: dict[str, Curve], path: Path) -> None:
    """The figure of the docs."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = (
        ("update", "image_mse", "updates", "squared error per pixel"),
        ("cpu_s", "image_mse", "CPU seconds", "squared error per pixel"),
        ("update", "kl_nats", "updates", "KL, nats per step"),
        ("update", "reward_error", "updates", "reward, absolute error"),
    )
    figure, axes = pyplot.subplots(1, len(panels), figsize=(13, 3.1), layout="constrained")
    for axis, (x, y, below, left) in zip(axes, panels, strict=True):
        for name, curve in curves.items():
            axis.plot([r[x] for r in curve], [r[y] for r in curve], marker=".", label=name)
        axis.set(xlabel=below, ylabel=left)
        axis.set_ylim(bottom=0.0)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)
    pyplot.close(figure)


def compare(out: Path, threads: int, quick: bool) -> None:
    """Collect, train all, write the curves and, unless ``quick``, the figure."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    workload = QUICK if quick else Workload(batch=8, length=16)
    updates, frames, held_out = (2, 32, 16) if quick else (UPDATES, FRAMES, HELD_OUT)
    train = drive("train01", frames, workload.length, workload.image)
    test = drive("val01", held_out, workload.length, workload.image)
    sides: dict[str, Callable[[], OurSide | TorchRLSide]] = {
        "ours, bf16, 1e-3": lambda: OurSide(workload, updates),
        "TorchRL, float32, 4e-5 (its own)": lambda: TorchRLSide(workload, RATE),
        "TorchRL, float32, 1e-3 (ours)": lambda: TorchRLSide(workload, 1e-3),
    }
    curves = {
        name: learn(make(), train, test, workload.batch, updates) for name, make in sides.items()
    }
    plain = float(((test.pixels / 255.0) - (train.pixels / 255.0).mean((0, 1))).square().mean())
    document = {"curves": curves, "mean_image_mse": round(plain, 5), "updates": updates,
                "batch": [workload.batch, workload.length], "threads": threads}  # fmt: skip
    out.write_text(json.dumps(document, indent=1) + "\n")
    draw(curves, out.with_suffix(".png") if quick else IMAGE)
