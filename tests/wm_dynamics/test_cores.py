"""The deterministic cores: block structure, bounded window, cached against uncached."""

from __future__ import annotations

import pytest
import torch

from wm_dynamics.bev import unpack_bev
from wm_dynamics.cores import BlockGRUCell, BlockLinear, TransformerCore
from wm_dynamics.fast_cores import fast_core
from wm_dynamics.model import WorldModel
from wm_dynamics.synthetic import synthetic_window
from wm_dynamics.variants import LATENTS, variant

WINDOW = 4


@pytest.fixture
def transformer() -> TransformerCore:
    torch.manual_seed(0)
    core = TransformerCore(inputs=12, width=16, layers=2, heads=2, window=WINDOW)
    with torch.no_grad():
        core.distance.normal_()  # zero at first: position would not be tested
    return core.requires_grad_(False)


def test_block_linear_keeps_blocks_apart():
    layer = BlockLinear(3, 4, 5)
    x = torch.randn(3, 2, 4)
    expected = torch.stack([x[g] @ layer.weight[g] + layer.bias[g] for g in range(3)])
    torch.testing.assert_close(layer(x), expected)


def test_block_gru_recurrence_is_block_diagonal():
    """Without the low-rank summary, one block's state does not reach another block."""
    cell = BlockGRUCell(inputs=6, width=16, blocks=4)
    with torch.no_grad():
        cell.summary.weight.zero_()
        cell.hidden_norm = torch.nn.Identity()
    deter = torch.randn(1, 16)
    jacobian = torch.autograd.functional.jacobian(
        lambda d: cell(torch.ones(1, 6), d)[0], deter
    )[0, :, 0]  # fmt: skip
    within = torch.block_diag(*[torch.ones(4, 4)] * 4).bool()
    assert jacobian[~within].abs().max() == 0
    assert (jacobian[within] != 0).all()


def test_block_gru_summary_reaches_all_blocks():
    cell = BlockGRUCell(inputs=6, width=16, blocks=4)
    deter = torch.randn(1, 16)
    changed = deter.clone()
    changed[0, 0] += 1.0
    x = torch.ones(1, 6)
    assert ((cell(x, deter)[0] - cell(x, changed)[0]) != 0).all()


def test_window_at_once_equals_step_by_step(transformer):
    x = torch.randn(3, 11, 12)
    memory = transformer.initial_memory(3)
    at_once, caches = transformer.sequence(x, memory)
    deter = torch.zeros(3, 16)
    for t in range(11):
        deter, memory = transformer(x[:, t], deter, memory)
        assert memory.shape == (3, 2, 2, 2, WINDOW, 8)
        torch.testing.assert_close(deter, at_once[:, t], rtol=1e-5, atol=1e-5)
        window = caches[..., t + 1 : t + 1 + WINDOW, :]
        torch.testing.assert_close(memory, window, rtol=1e-5, atol=1e-5)


def test_rollout_cache_equals_the_uncached_sequence(transformer):
    """History observed, future imagined with cached keys, against all recomputed from scratch."""
    history, future = torch.randn(1, 6, 12), torch.randn(5, 9, 12)
    _, caches = transformer.sequence(history, transformer.initial_memory(1))
    core = fast_core(transformer, torch.float32)
    deter = torch.zeros(5, 16)
    carry = core.begin(caches[..., -WINDOW:, :], 5, 9)
    whole = torch.cat([history.expand(5, -1, -1), future], 1)
    for t in range(9):
        deter = core.step(future[:, t], deter, carry, t)
        uncached, _ = transformer.sequence(
            whole[:, : 7 + t], transformer.initial_memory(5)
        )  # fmt: skip
        torch.testing.assert_close(deter, uncached[:, -1], rtol=1e-5, atol=1e-5)


def test_the_transformer_is_causal_and_its_window_bounded(transformer):
    x = torch.randn(1, 16, 12)
    base, _ = transformer.sequence(x, transformer.initial_memory(1))
    changed = x.clone()
    changed[:, 5] += 1.0
    moved = (transformer.sequence(changed, transformer.initial_memory(1))[0] - base).abs().amax(-1)
    reach = 2 * WINDOW  # each of two layers looks back one window
    assert moved[0, :5].max() == 0
    assert (moved[0, 5 : 5 + reach + 1] > 0).all()
    assert moved[0, 5 + reach + 1 :].max() == 0


@pytest.mark.parametrize("latent", LATENTS)
def test_a_window_and_a_filter_believe_the_same(latent):
    """Training sees windows, driving steps; given the same samples they are one computation."""
    config = variant("tiny", "transformer", latent, core_window=WINDOW)
    model = WorldModel.untrained(config, seed=1)
    window = synthetic_window(config, 2, 7)
    with torch.no_grad():
        torch.manual_seed(0)
        masks = unpack_bev(window["bev"], config.bev_channels)
        states = model.observe(masks, window)
        latent_state = model.initial(2)
        for t in range(7):
            latent_state, _ = model.observe_step(
                latent_state,
                window["action"][:, t],
                window["motion"][:, t],
                *(window[name][:, t] for name in ("bev", "state", "route")),
            )
            torch.testing.assert_close(latent_state.deter, states.deter[:, t], atol=1e-4, rtol=1e-4)
            sampled = model.rssm.latent.compress(states.stoch[:, t])
            latent_state = type(latent_state)(latent_state.deter, sampled, latent_state.memory)
