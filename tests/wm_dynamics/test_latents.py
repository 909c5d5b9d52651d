"""Both kinds of stochastic state: densities, gradients, disagreement, and the balance of the KL."""

from __future__ import annotations

import pytest
import torch
from torch import distributions

from wm_dynamics.config import SIZES
from wm_dynamics.kl import balanced_kl
from wm_dynamics.latents import Categorical, Gaussian
from wm_dynamics.model import WorldModel
from wm_dynamics.rssm import States
from wm_dynamics.variants import LATENTS, variant

DISCRETE, NORMAL = Categorical(3, 4, 0.01), Gaussian(5, 0.1)


def raw(latent, *rows: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*rows, latent.outputs, generator=torch.Generator().manual_seed(seed))


def test_gaussian_kl_is_the_closed_form():
    p, q = NORMAL.dist(raw(NORMAL, 7)), NORMAL.dist(raw(NORMAL, 7, seed=1))
    normals = [distributions.Normal(x[:, 0], x[:, 1]) for x in (p, q)]
    expected = distributions.kl_divergence(*normals).sum(-1)
    torch.testing.assert_close(NORMAL.kl(p, q), expected)


def test_categorical_kl_is_the_closed_form():
    p, q = DISCRETE.dist(raw(DISCRETE, 7)), DISCRETE.dist(raw(DISCRETE, 7, seed=1))
    expected = distributions.kl_divergence(
        distributions.Categorical(probs=p), distributions.Categorical(probs=q)
    ).sum(-1)
    torch.testing.assert_close(DISCRETE.kl(p, q), expected)


def test_the_deviation_never_falls_below_its_floor():
    dist = NORMAL.dist(torch.full((1, 10), -100.0))
    torch.testing.assert_close(dist[0, 1], torch.full((5,), 0.1))


def test_unimix_bounds_probabilities():
    dist = DISCRETE.dist(100.0 * raw(DISCRETE, 7))
    assert dist.min() >= 0.01 / 4 - 1e-7
    torch.testing.assert_close(dist.sum(-1), torch.ones(7, 3))


def test_gaussian_samples_have_the_distribution():
    torch.manual_seed(0)
    dist = NORMAL.dist(raw(NORMAL, 1)).expand(20_000, 2, 5)
    samples = NORMAL.take(dist)
    torch.testing.assert_close(samples.mean(0), dist[0, 0], atol=0.05, rtol=0.0)
    torch.testing.assert_close(samples.std(0), dist[0, 1], atol=0.05, rtol=0.0)


@pytest.mark.parametrize("latent", [DISCRETE, NORMAL])
def test_greedy_rows_take_the_mode_and_gradients_pass(latent):
    torch.manual_seed(0)
    inputs = raw(latent, 2).requires_grad_()
    dist = latent.dist(inputs)
    stoch = latent.take(dist, torch.tensor([True, False]))
    torch.testing.assert_close(stoch[0], latent.flat(latent.compact(dist))[0])
    (stoch * torch.randn_like(stoch)).sum().backward()
    assert (inputs.grad != 0).any(-1).all()


@pytest.mark.parametrize("latent", [DISCRETE, NORMAL])
def test_compact_and_flat_are_two_forms_of_one_state(latent):
    inputs = raw(latent, 6)
    compact = latent.compact(latent.dist(inputs))
    torch.testing.assert_close(latent.mode(inputs), compact)
    flat = latent.flat(compact)
    assert flat.shape == (6, latent.width)
    torch.testing.assert_close(latent.compress(flat), compact)
    table = torch.randn(latent.width, 9)
    torch.testing.assert_close(latent.project(compact, table), flat @ table)


@pytest.mark.parametrize("latent", [DISCRETE, NORMAL])
def test_spread_is_zero_only_where_members_agree(latent):
    one = raw(latent, 1, 4).expand(3, 4, -1).clone()
    assert latent.spread(one).abs().max() < 1e-6
    one[0, 2] += raw(latent, seed=5)
    spread = latent.spread(one)
    assert spread[2] > 0.01 and spread[[0, 1, 3]].max() < 1e-6


def test_the_average_of_gaussians_has_the_mixtures_moments():
    dists = torch.tensor([[[0.0], [1.0]], [[4.0], [3.0]]])  # two members, Z = 1
    mean, std = NORMAL.average(dists)[:, 0]
    assert mean == 2.0
    assert std.square() == pytest.approx((1.0 + 9.0) / 2 + 4.0)


@pytest.mark.parametrize("latent", LATENTS)
def test_balance_moves_prior_and_posterior_by_their_weights(latent):
    rssm = WorldModel.untrained(variant("tiny", latent=latent)).rssm
    inputs = raw(rssm.latent, 2, 5).requires_grad_()
    dist = rssm.dist(inputs)
    states = States(torch.randn(2, 5, 32), torch.zeros(2, 5, rssm.latent.width), dist)
    mask = torch.ones(2, 5)

    def gradients(dynamics: float, representation: float, free: float = 0.0):
        value, nats = balanced_kl(rssm, states, mask, dynamics, representation, free)
        weights = rssm.priors[0][-1].bias
        grads = torch.autograd.grad(value, (inputs, weights), retain_graph=True, allow_unused=True)
        return value, nats, [0.0 if g is None else g.abs().sum().item() for g in grads]

    value, nats, (post, prior) = gradients(1.0, 0.0)
    assert post == 0.0 and prior > 0.0
    torch.testing.assert_close(value, nats)
    _, _, (post, prior) = gradients(0.0, 1.0)
    assert post > 0.0 and prior == 0.0
    value, _, (post, prior) = gradients(0.8, 0.1, free=1e3)
    assert value.item() == pytest.approx(900.0) and post == prior == 0.0


def test_steps_that_do_not_exist_do_not_count():
    rssm = WorldModel.untrained(SIZES["tiny"]).rssm
    dist = rssm.dist(raw(rssm.latent, 2, 5))
    states = States(torch.randn(2, 5, 32), torch.zeros(2, 5, 32), dist)
    mask = torch.ones(2, 5)
    mask[1, 3:] = 0.0
    _, nats = balanced_kl(rssm, states, mask)
    changed = dist.clone()
    changed[1, 3:] = dist[0, :2]
    _, again = balanced_kl(rssm, States(states.deter, states.stoch, changed), mask)
    torch.testing.assert_close(nats, again)
