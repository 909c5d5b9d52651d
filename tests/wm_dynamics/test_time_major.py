"""Networks over values that lie step by step: the same results, and no copies."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from wm_dynamics.time_major import by_rows, stack_steps

N, H, X = 3, 4, 5


@pytest.mark.parametrize("steps_first", [True, False])
def test_rows_are_mapped_where_they_lie(steps_first):
    torch.manual_seed(0)
    values = torch.randn(N, H, X)
    if steps_first:
        values = values.transpose(0, 1).contiguous().transpose(0, 1)
    asked = []

    def net(rows: torch.Tensor) -> torch.Tensor:
        asked.append(rows.data_ptr())
        return linear(rows)

    linear = nn.Linear(X, 2)
    mapped = by_rows(net, values)
    assert torch.allclose(mapped, linear(values.contiguous()), atol=1e-6)
    assert asked == [values.data_ptr()]  # not of a copy
    assert (mapped.stride(0) < mapped.stride(1)) == steps_first


def test_a_part_of_the_steps_and_columns_is_no_copy_either():
    whole = stack_steps([torch.randn(N, X + 3) for _ in range(H)])
    assert whole.shape == (N, H, X + 3)
    part = whole[:, 1:, :X]
    seen: list[int] = []

    def net(rows: torch.Tensor) -> torch.Tensor:
        seen.append(rows.data_ptr())
        return rows

    assert torch.equal(by_rows(net, part), part)
    assert seen == [part.data_ptr()]
