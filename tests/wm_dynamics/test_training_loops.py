"""What makes training fast computes what the plain formulation computes, values and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from wm_dynamics import step_ops
from wm_dynamics.config import CameraConfig, ModelConfig
from wm_dynamics.cores import gate
from wm_dynamics.decoder import CameraDecoder, drawn_size, image_error
from wm_dynamics.kl import balanced_kl
from wm_dynamics.model import WorldModel
from wm_dynamics.rssm import States
from wm_dynamics.step_linear import StepLinear
from wm_dynamics.step_ops import gru_gate, gru_gate_rounded, norm_silu, straight_through
from wm_dynamics.variants import LATENTS, variant

STEPS, BATCH = 5, 3
RECURRENT = ("gru", "block_gru")


def gradients(value: torch.Tensor, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    """Of a sum with uneven weights, so that errors do not cancel."""
    weight = torch.linspace(-1.0, 2.0, value.numel()).view(value.shape)
    return list(torch.autograd.grad((value * weight).sum(), inputs))


def assert_same(fast: list[torch.Tensor], plain: list[torch.Tensor]) -> None:
    for one, other in zip(fast, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("blocks", [None, 2])
def test_weight_gradients_of_a_loop_are_those_of_all_steps(blocks):
    torch.manual_seed(0)
    shape = (4, 4) if blocks is None else (blocks, 4, 4)
    weight = (0.5 * torch.randn(shape)).requires_grad_()
    bias = torch.randn((4,) if blocks is None else (blocks, 1, 4)).requires_grad_()
    start = torch.randn(*shape[:-2], BATCH, 4, requires_grad=True)

    def loop(layer) -> list[torch.Tensor]:
        x = start
        for _ in range(STEPS):
            x = torch.tanh(layer(x))
        return [x, *gradients(x, [weight, bias, start])]

    fast = StepLinear(weight, bias, torch.float32)
    plain = loop(lambda x: x @ weight + bias)
    assert_same(loop(fast), plain)
    assert_same(loop(fast), plain)  # nothing of the first backward is left over


def test_a_loop_without_gradients_keeps_nothing():
    layer = StepLinear(torch.randn(4, 4, requires_grad=True), None, torch.float32)
    with torch.no_grad():
        layer(torch.randn(2, 4))
    assert layer.tape == []


def test_the_gate_as_one_node():
    deter = torch.randn(2, BATCH, 4, dtype=torch.float64, requires_grad=True)
    gates = torch.randn(2, BATCH, 12, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(gru_gate(deter, gates), gate(deter, *gates.chunk(3, -1)))
    assert torch.autograd.gradcheck(gru_gate, (deter, gates))


@pytest.mark.parametrize("blocks", [None, 3])
def test_without_gradients_the_same_piece_by_piece(blocks, monkeypatch):
    monkeypatch.setattr(step_ops, "PIECE", 20)  # pieces of two or three rows, or of one block
    torch.manual_seed(0)
    lead = () if blocks is None else (blocks,)
    deter = torch.randn(*lead, 7, 4)
    gates = (4.0 * torch.randn(*lead, 7, 12)).bfloat16()
    learned = gates.clone().requires_grad_()
    torch.testing.assert_close(gru_gate(deter, gates), gru_gate(deter, learned))
    torch.testing.assert_close(gru_gate(deter, gates), gate(deter, *gates.float().chunk(3, -1)))
    bias, out = torch.randn(12), torch.empty_like(deter)
    gru_gate_rounded(deter, gates, bias, out)
    torch.testing.assert_close(out, gate(deter, *(gates.float() + bias).chunk(3, -1)))
    weight = torch.rand(4) if blocks is None else torch.rand(blocks, 1, 4)
    dims = (-1,) if blocks is None else (0, 2)
    normed = norm_silu(gates[..., :4], weight, dims)
    assert normed.dtype == torch.bfloat16
    assert torch.equal(normed, norm_silu(learned[..., :4], weight, dims))


@pytest.mark.parametrize("dims", [(-1,), (0, 2)])
def test_norm_and_activation_as_one_node(dims):
    x = torch.randn(2, BATCH, 4, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(*((2, 1) if len(dims) > 1 else ()), 4, dtype=torch.float64)
    weight.requires_grad_()
    norm = nn.RMSNorm(4 * len(dims), elementwise_affine=False, eps=1e-6).double()
    rows = x.transpose(0, 1).flatten(-2) if len(dims) > 1 else x
    normed = norm(rows)
    if len(dims) > 1:
        normed = normed.unflatten(-1, (2, 4)).transpose(0, 1)
    expected = nn.functional.silu(normed * weight)
    torch.testing.assert_close(norm_silu(x, weight, dims, 1e-6), expected)
    assert torch.autograd.gradcheck(lambda a, b: norm_silu(a, b, dims), (x, weight))


def test_one_hot_is_exact_and_passes_the_gradient_through():
    probs = torch.rand(BATCH, 4).softmax(-1).requires_grad_()
    hot = straight_through(probs, torch.tensor([[1], [0], [3]]))
    assert hot.tolist() == [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
    weight = torch.randn(BATCH, 4)
    assert torch.equal(torch.autograd.grad((hot * weight).sum(), probs)[0], weight)


def plain_observe(model: WorldModel, embedding: torch.Tensor, drive: torch.Tensor) -> States:
    """Step by step with the parts a filter uses."""
    rssm = model.rssm
    deter, stoch, memory = rssm.initial(len(embedding))
    steps = []
    for t in range(embedding.shape[1]):
        deter, memory = rssm.transition(deter, stoch, drive[:, t], memory)
        dist = rssm.posterior_dist(deter, embedding[:, t])
        stoch = rssm.latent.take(dist)
        steps.append((deter, stoch, dist))
    return States(*(torch.stack(x, 1) for x in zip(*steps, strict=True)))


def plain_imagine(model: WorldModel, states: States, drive: torch.Tensor, members: list[int],
                  greedy: torch.Tensor) -> States:  # fmt: skip
    rssm, deter, stoch = model.rssm, states.deter[:, -1], states.stoch[:, -1]
    steps = []
    for t, member in enumerate(members):
        deter, _ = rssm.transition(deter, stoch, drive[:, t])
        dist = rssm.dist(rssm.priors[member](deter))
        stoch = rssm.latent.take(dist, greedy)
        steps.append((deter, stoch, dist))
    return States(*(torch.stack(x, 1) for x in zip(*steps, strict=True)))


def config_of(core: str, latent: str) -> ModelConfig:
    return variant("tiny", core, latent, core_blocks=4)


@pytest.mark.parametrize("latent", LATENTS)
@pytest.mark.parametrize("core", RECURRENT)
def test_observing_and_imagining_in_the_loop_of_training(core, latent):
    config = config_of(core, latent)
    model = WorldModel.untrained(config, seed=1).train()
    torch.manual_seed(0)
    embedding = torch.randn(BATCH, STEPS, config.embed, requires_grad=True)
    drive, members = torch.randn(BATCH, STEPS, 6), [0, 2, 1, 0, 1]
    greedy = torch.arange(BATCH) % 2 == 0
    learned = [embedding, *model.rssm.parameters()]

    def run(observe, imagine) -> list[torch.Tensor]:
        torch.manual_seed(3)  # the same draws
        states = observe(embedding, drive)
        ahead = imagine(states)
        values = [x for s in (states, ahead) for x in (s.deter, s.stoch, s.dist)]
        return values + gradients(torch.cat([x.flatten() for x in values]), learned)

    fast = run(
        model.rssm.observe,
        lambda s: model.rssm.imagine(s.deter[:, -1], s.stoch[:, -1], drive, members, greedy),
    )
    plain = run(
        lambda e, d: plain_observe(model, e, d),
        lambda s: plain_imagine(model, s, drive, members, greedy),
    )
    assert_same(fast, plain)


@pytest.mark.parametrize("core", RECURRENT)
def test_bf16_loops_stay_near_float32(core):
    model = WorldModel.untrained(config_of(core, "gaussian"), seed=1).train()
    torch.manual_seed(0)
    embedding, drive = torch.randn(BATCH, STEPS, model.config.embed), torch.randn(BATCH, STEPS, 6)

    def run(bf16: bool) -> tuple[torch.Tensor, torch.Tensor]:
        torch.manual_seed(3)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            states = model.rssm.observe(embedding, drive)
        assert states.deter.dtype == torch.float32
        weight = next(model.rssm.cell.parameters())
        (gradient,) = torch.autograd.grad(states.features.square().sum(), [weight])
        return states.deter, gradient

    (deter, gradient), (exact, exact_gradient) = run(True), run(False)
    assert (deter - exact).abs().max() < 0.02
    assert (gradient - exact_gradient).norm() < 0.05 * exact_gradient.norm()


@pytest.mark.parametrize("latent", LATENTS)
def test_one_kl_has_the_value_and_the_gradients_of_two(latent):
    model = WorldModel.untrained(config_of("gru", latent), seed=1).train()
    torch.manual_seed(0)
    rssm = model.rssm
    states = rssm.observe(
        torch.randn(BATCH, STEPS, model.config.embed), torch.randn(BATCH, STEPS, 6)
    )
    mask = torch.ones(BATCH, STEPS)
    mask[0, 3:] = 0
    learned = list(rssm.parameters())
    value, _ = balanced_kl(rssm, states, mask, 0.7, 0.2, free_nats=0.1)
    post, valid, expected = states.dist[:, 1:], mask[:, 1:], 0.0
    for prior in rssm.priors:
        dist = rssm.dist(prior(states.deter[:, 1:]))
        for weight, p, q in ((0.7, post.detach(), dist), (0.2, post, dist.detach())):
            nats = (rssm.latent.kl(p, q) * valid).sum() / valid.sum()
            expected = expected + weight * nats.clamp_min(0.1) / len(rssm.priors)
    torch.testing.assert_close(value, expected)
    take = {"retain_graph": True, "allow_unused": True, "materialize_grads": True}
    assert_same(
        list(torch.autograd.grad(value, learned, **take)),
        list(torch.autograd.grad(expected, learned, **take)),
    )


def test_a_decoder_draws_every_pixel_if_asked():
    camera = CameraConfig(height=32, width=48)
    half, full = (
        CameraDecoder(10, 8, camera.model_copy(update={"draw_full": full}))(torch.randn(2, 10))
        for full in (False, True)
    )
    assert half.shape == (2, 1, 3, 16, 24) and full.shape == (2, 1, 3, 32, 48)
    images = torch.rand(2, 1, 3, 32, 48)
    assert drawn_size(images, full) is images
    assert image_error(images, images).abs().max() == 0
    assert image_error(drawn_size(images, half), images).abs().max() == 0
