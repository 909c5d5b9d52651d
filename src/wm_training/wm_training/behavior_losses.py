"""What actor and critic are trained to get right, in the imagination of a frozen world model.

After DreamerV3 (Hafner et al. 2023, arXiv 2301.04104): lambda-returns, a two-hot symlog critic with
its moving average as anchor, returns divided by the range of their percentiles, entropy bonus.

Symbols: N imagined futures, H steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.func import functional_call

from wm_dynamics.behavior import Behavior, Critic
from wm_dynamics.dream import Dream, Start, dream
from wm_dynamics.model import WorldModel
from wm_dynamics.rssm import States
from wm_dynamics.twohot import cross_entropy, decode, symlog
from wm_training.behavior_config import BehaviorLossConfig
from wm_training.behavior_reward import ImaginedSteps, imagined_steps, weighted_terms

LOW, HIGH = 0.05, 0.95  # percentiles whose distance is the range of returns
EVENTS = ("near", "collision", "off_road", "red_violation")  # what nobody should imitate


def lambda_returns(
    reward: torch.Tensor, discount: torch.Tensor, value: torch.Tensor, trace: float
) -> torch.Tensor:
    """Mixture of n-step returns: R_t = r_t + d_t ((1 - trace) V_t+1 + trace R_t+1).

    Args:
        reward: (N, H) of the step from state t to t + 1.
        discount: (N, H) what a unit of reward after that step is worth before it.
        value: (N, H + 1) of the states, the start first; the first is not used.
        trace: lambda; 0 looks one step ahead, 1 to the end.

    Returns:
        (N, H).
    """
    following = value[:, -1]
    returns = []
    for t in reversed(range(reward.shape[1])):
        ahead = (1.0 - trace) * value[:, t + 1] + trace * following
        following = reward[:, t] + discount[:, t] * ahead
        returns.append(following)
    return torch.stack(returns[::-1], 1)


class ReturnRange(nn.Module):
    """Moving average of the 5th and 95th percentile of returns; their distance is the scale.

    At least 1: small returns are not blown up (DreamerV3).
    """

    low: torch.Tensor  # ()
    high: torch.Tensor  # ()
    updates: torch.Tensor  # ()

    def __init__(self, decay: float):
        super().__init__()
        self.decay = decay
        for name in ("low", "high", "updates"):
            self.register_buffer(name, torch.zeros(()))

    @torch.no_grad()
    def update(self, returns: torch.Tensor) -> torch.Tensor:
        """Take in returns (M,); the scale, ()."""
        seen = torch.quantile(returns.float(), returns.new_tensor([LOW, HIGH], dtype=torch.float32))
        # The first returns count fully, as in Adam's bias correction.
        self.updates += 1
        share = max(1.0 - self.decay, 1.0 / float(self.updates))
        self.low.lerp_(seen[0], share)
        self.high.lerp_(seen[1], share)
        return (self.high - self.low).clamp_min(1.0)


@dataclass(frozen=True)
class Starts:
    """Where futures are imagined from.

    Attributes:
        start: N beliefs, with ego states and routes.
        weight: (N,) 1, or 0 where the window had ended.
    """

    start: Start
    weight: torch.Tensor


def choose_starts(
    states: States, batch: dict[str, torch.Tensor], config: BehaviorLossConfig
) -> Starts:
    """Some steps of all windows as starts.

    Args:
        states: posterior of the windows, (B, T, ...).
        batch: the windows.
        config: how many steps, and how many at the start of a window are left out.
    """
    total = batch["mask"].shape[1]
    steps = config.warm + torch.randperm(total - config.warm)[: config.starts]
    steps = steps.sort().values.to(states.deter.device)

    def rows(x: torch.Tensor) -> torch.Tensor:
        return x[:, steps].transpose(0, 1).flatten(0, 1).detach()  # step by step, as memories are

    memories = [m for t in steps.tolist() if (m := states.memory_after(t)) is not None]
    memory = torch.cat(memories).detach() if memories else None
    ego_state, route = rows(batch["state"]), rows(batch["route"])
    start = Start(rows(states.deter), rows(states.stoch), ego_state, route, memory)
    return Starts(start, rows(batch["mask"]))


def frozen_value(critic: Critic, inputs: torch.Tensor) -> torch.Tensor:
    """Values (...) with gradients to the inputs alone."""
    weights = {name: p.detach() for name, p in critic.named_parameters()}
    return decode(functional_call(critic, weights, (inputs,)), critic.bins)


def behavior_loss(
    model: WorldModel,
    behavior: Behavior,
    slow: Critic,
    returns_range: ReturnRange,
    starts: Starts,
    config: BehaviorLossConfig,
) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """What actor and critic have to learn from one set of starts.

    Args:
        model: the world model; its weights should not require gradients.
        behavior: actor and critic to train.
        slow: moving average of the critic.
        returns_range: updated with these returns.
        starts: where to begin.
        config: objectives.

    Returns:
        Loss of the actor, loss of the critic (neither has gradients for the other), and their
        parts for logging (detached scalars).
    """
    seen = _imagine(model, behavior, starts.start, config)
    # What happens after the end of the episode does not count.
    weight = seen.alive * starts.weight[:, None]
    weight = weight / weight.sum().clamp_min(1.0)
    scale = returns_range.update(seen.returns.detach()[starts.weight > 0].flatten())
    actor, entropy = _actor_loss(behavior, seen, scale, weight, config)
    critic = _critic_loss(behavior.critic, slow, seen, weight, config)
    parts = {
        "actor_loss": actor,
        "critic_loss": critic,
        "entropy": entropy,
        "return": (seen.returns * weight).sum(),
        "value": (seen.value[:, :-1] * weight).sum(),
        "return_scale": scale,
        "imagined_speed": (seen.steps.speed * weight).sum(),
        "imagined_lateral": (seen.steps.lateral.abs() * weight).sum(),
        **{f"reward/{name}": (term * weight).sum() for name, term in seen.terms.items()},
    }
    return actor, critic, {name: part.detach() for name, part in parts.items()}


@dataclass(frozen=True)
class _Imagined:
    """What was imagined, and what it is worth; gradients to the actor or not, as configured.

    Attributes:
        dreamt: N futures of H steps.
        steps: what the reward was made of ...
        terms: ... and its parts, (N, H) each.
        value: (N, H + 1) of the states, the start first.
        logits: (N, H + 1, bins) that ``value`` was read from, with gradients to the critic, or None
            where it has gradients to the states instead.
        returns: (N, H).
        alive: (N, H) probability that the episode has not ended before the step.
    """

    dreamt: Dream
    steps: ImaginedSteps
    terms: dict[str, torch.Tensor]
    value: torch.Tensor
    logits: torch.Tensor | None
    returns: torch.Tensor
    alive: torch.Tensor


def _imagine(
    model: WorldModel, behavior: Behavior, start: Start, config: BehaviorLossConfig
) -> _Imagined:
    """Imagine from ``start`` and value it."""
    count, device = len(start.deter), start.deter.device
    uniform = torch.rand(count, config.horizon, 2, device=device)
    members = torch.randint(len(model.rssm.priors), (config.horizon,)).tolist()
    unsure = config.reward.source == "composed" and config.reward.weights.disagreement > 0
    backward, logits = config.gradient == "dynamics", None
    with torch.set_grad_enabled(backward):
        dreamt = dream(model, behavior, start, uniform, members)
        steps = imagined_steps(model, dreamt, start.ego_state[:, 2:4], unsure)
        terms = weighted_terms(steps, config.reward)
        goes_on = steps.heads["continue"]
        if backward:
            value = frozen_value(behavior.critic, dreamt.inputs)
        else:  # one pass of the critic serves the returns and its own loss
            with torch.enable_grad():
                logits = behavior.critic(dreamt.inputs)
            value = decode(logits, behavior.critic.bins)
        reward = torch.stack(list(terms.values())).sum(0)
        returns = lambda_returns(reward, config.discount * goes_on, value, config.trace)
    alive = torch.cat([torch.ones_like(goes_on[:, :1]), goes_on[:, :-1]], 1).detach().cumprod(1)
    return _Imagined(dreamt, steps, terms, value, logits, returns, alive)


def _actor_loss(
    behavior: Behavior, seen: _Imagined, scale: torch.Tensor, weight: torch.Tensor,
    config: BehaviorLossConfig,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """Loss and mean entropy; returns count in units of ``scale``."""
    if config.gradient == "dynamics":
        policy, gain = seen.dreamt.policy, seen.returns
    else:
        policy = behavior.actor(seen.dreamt.inputs[:, :-1])
        gain = policy.log_prob(seen.dreamt.actions) * (seen.returns - seen.value[:, :-1])
    entropy = policy.entropy()
    loss = -((gain / scale + config.entropy * entropy) * weight).sum()
    return loss, (entropy * weight).sum()


def _critic_loss(
    critic: Critic, slow: Critic, seen: _Imagined, weight: torch.Tensor, config: BehaviorLossConfig
) -> torch.Tensor:
    """Cross-entropy against the returns, and against what the slow critic says."""
    inputs = seen.dreamt.inputs[:, :-1].detach()
    logits = critic(inputs) if seen.logits is None else seen.logits[:, :-1]
    log_probs = logits.float().log_softmax(-1)
    loss = cross_entropy(log_probs, symlog(seen.returns.detach()), slow.bins)
    if config.slow_regulariser:
        with torch.no_grad():
            anchor = symlog(slow.value(inputs))
        loss = loss + config.slow_regulariser * cross_entropy(log_probs, anchor, slow.bins)
    return (loss * weight).sum()


def clone_loss(
    behavior: Behavior,
    states: States,
    batch: dict[str, torch.Tensor],
    columns: dict[str, int],
    warm: int,
) -> torch.Tensor:
    """Negative log-likelihood of what was really done, where nothing went wrong after it.

    Most stored drivers err on purpose; steps with an event (:data:`EVENTS`) later in their window
    are no example to follow (filtered behaviour cloning).

    Args:
        behavior: whose actor.
        states: posterior of the windows, (B, T, ...).
        batch: the windows.
        columns: label name -> column.
        warm: steps at the start of a window that only warm the belief up.
    """
    labels, mask = batch["labels"], batch["mask"]
    event = torch.stack([labels[..., columns[name]] for name in EVENTS]).amax(0) * mask
    later = event.flip(1).cummax(1).values.flip(1)  # now or later in the window
    good = mask[:, warm + 1 :] * (later[:, warm + 1 :] == 0)
    features, ego_state, route = (
        x[:, warm:-1].flatten(0, 1).detach()
        for x in (states.features, batch["state"], batch["route"])
    )
    here = features.new_zeros(len(features), 3)
    inputs = behavior.inputs(features, ego_state, here, behavior.route_line(route))
    actions = batch["action"][:, warm + 1 :].flatten(0, 1)
    nats = -behavior.actor(inputs).log_prob(actions).view_as(good)
    return (nats * good).sum() / good.sum().clamp_min(1.0)
