"""How good is the model's perception and imagination on driving it has not seen?"""

from __future__ import annotations

import numpy as np
import torch

from wm_dynamics.config import ModelConfig
from wm_dynamics.ego import SPEED_SCALE, integrate
from wm_dynamics.model import WorldModel
from wm_dynamics.rollout import LatentState, Rollout
from wm_training.sampler import CLOSE_M, WindowSampler
from wm_training.store import Store

CONTEXT = 10  # observed steps before imagining
BINARY = ("collision", "off_road", "red_violation", "near")
# Share of validation windows by event: enough of each to measure, the rest as they come.
VALIDATION_POOLS = {"danger": 0.2, "off_road": 0.1, "leader": 0.3, "stop": 0.2}


def auroc(scores: np.ndarray, positive: np.ndarray) -> float | None:
    """Area under the ROC curve, ties counted half; None with fewer than 3 of either class."""
    count, rest = int(positive.sum()), int((~positive).sum())
    if min(count, rest) < 3:
        return None
    values, inverse = np.unique(scores, return_inverse=True)
    below = np.concatenate([[0], np.cumsum(np.bincount(inverse, minlength=len(values)))])
    ranks = 0.5 * (below[:-1] + below[1:])[inverse] + 0.5
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * rest))


def validation_sampler(
    store: Store, model: ModelConfig, stride: int, seed: int = 0
) -> WindowSampler:
    """Windows of ``CONTEXT`` steps and the model's horizon, inside an episode, with its streams.

    Raises:
        UserError: no episode is that long, or a stream is missing.
    """
    length = CONTEXT + model.horizon
    return WindowSampler(store, length, stride, seed, length, VALIDATION_POOLS, model.streams)


@torch.inference_mode()
def validate(
    model: WorldModel, store: Store, windows: int = 384, seed: int = 0, stride: int = 2
) -> dict[str, float]:
    """Filter ``CONTEXT`` steps, imagine a horizon with the true actions, compare.

    Returns:
        Flat metrics. ``ego_path_3s_m`` is the mean position error of the imagined path after 3 s,
        ``constant_velocity_3s_m`` the same for a straight line at constant speed. Errors of leader
        gap and stop distance are mean absolute, where the thing exists within 25 m; ``_now`` after
        filtering, ``_3s`` imagined. AUROCs are over all imagined steps.
    """
    device = next(model.parameters()).device
    sampler = validation_sampler(store, model.config, stride, seed)
    batch = {key: x.to(device) for key, x in sampler.batch(windows).items()}
    latent = filter_context(model, batch)
    state = batch["state"][:, CONTEXT - 1]
    rollout = model.imagine(latent, state, batch["action"][:, CONTEXT:])
    columns = {name: i for i, name in enumerate(store.labels)}
    metrics = _path_errors(batch, state, rollout, model.config.dt)
    metrics |= _distance_errors(model.perceive(latent), batch, rollout, columns)
    for name in BINARY:
        truth = batch["labels"][:, CONTEXT:, columns[name]] > 0.5
        area = auroc(rollout.heads[name].cpu().numpy().ravel(), truth.cpu().numpy().ravel())
        if area is not None:
            metrics[f"auroc_{name}"] = area
    return {key: round(float(value), 4) for key, value in metrics.items()}


def filter_context(model: WorldModel, batch: dict[str, torch.Tensor]) -> LatentState:
    """The posterior after the first ``CONTEXT`` steps of windows (B, T, ...)."""
    latent = model.initial(len(batch["action"]))
    for t in range(CONTEXT):
        streams = {name: batch[name][:, t] for name in model.config.streams if name in batch}
        latent = model.observe_belief(latent, batch["action"][:, t], batch["motion"][:, t], streams)
    return latent


def _path_errors(
    batch: dict[str, torch.Tensor], state: torch.Tensor, rollout: Rollout, dt: float
) -> dict[str, float]:
    """Position error of the imagined path and of constant velocity, m."""
    truth = integrate(batch["motion"][:, CONTEXT:])[..., :2]
    steps = torch.arange(1, truth.shape[1] + 1, device=truth.device) * dt
    straight = torch.zeros_like(truth)
    straight[..., 0] = state[:, :1] * SPEED_SCALE * steps
    metrics = {}
    for second in range(1, int(steps[-1] + 1e-3) + 1):
        at = round(second / dt) - 1
        for name, path in (("ego_path", rollout.path[..., :2]), ("constant_velocity", straight)):
            error = (path[:, at] - truth[:, at]).norm(dim=-1)
            metrics[f"{name}_{second}s_m"] = error.mean().item()
    return metrics


def _distance_errors(
    now: dict[str, torch.Tensor],
    batch: dict[str, torch.Tensor],
    rollout: Rollout,
    columns: dict[str, int],
) -> dict[str, float]:
    """Errors of leader gap and stop distance, and the AUROC of their presence."""
    labels, metrics = batch["labels"], {}
    last = {name: value[:, -1] for name, value in rollout.heads.items()}
    for when, values, truth in (
        ("now", now, labels[:, CONTEXT - 1]),
        ("3s", last, labels[:, -1]),
    ):
        lateral = (values["lateral_deviation"] - truth[:, columns["lateral"]]).abs()
        metrics[f"lateral_{when}_m"] = lateral.mean().item()
        for name, presence in (("leader_gap", "leader_present"), ("stop_distance", "stop_present")):
            target, present = truth[:, columns[name]], truth[:, columns[presence]] > 0.5
            close = present & (target < CLOSE_M)
            if close.any():
                metrics[f"{name}_{when}_m"] = (values[name] - target)[close].abs().mean().item()
            score = values[presence.replace("present", "presence")].cpu().numpy()
            # "Present" means close here: something 39 m away is no hazard to miss.
            area = auroc(score, close.cpu().numpy())
            if area is not None:
                metrics[f"auroc_{presence}_{when}"] = area
    return metrics
