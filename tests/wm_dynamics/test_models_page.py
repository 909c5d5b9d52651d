"""docs/models.md names what there is, and its table counts the parameters right."""

from __future__ import annotations

import math
import re
import runpy
from pathlib import Path

import pytest

from wm_dynamics import augment
from wm_dynamics.config import ModelConfig
from wm_dynamics.model import WorldModel
from wm_dynamics.variants import CORES, INPUTS, LATENTS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "models.md").read_text()


@pytest.mark.parametrize("name", [*CORES, *LATENTS, *INPUTS])
def test_every_kind_is_explained(name):
    assert f"| `{name}` |" in PAGE


@pytest.mark.parametrize("name", re.findall(r"^\| `(\w+)` \|", PAGE.split("## Augment")[1], re.M))
def test_functions_exist(name):
    assert callable(getattr(augment, name))


def test_keys_exist():
    keys = re.findall(r"`((?:core|gaussian|modality|decode)_\w+)`", PAGE)
    assert len(keys) > 6
    assert set(keys) - {"decode_cameras"} <= set(ModelConfig.model_fields)


def test_parameter_counts():
    benchmark = runpy.run_path(str(ROOT / "benchmarks" / "model_variants.py"))
    table = PAGE.split(benchmark["BEGIN"])[1].split(benchmark["END"])[0]
    for label, config in benchmark["configs"]("small"):
        count = sum(p.numel() for p in WorldModel.untrained(config).parameters())
        assert f"| {label} | {count / 1e6:.2f} M |" in table
    numbers = math.prod(ModelConfig(core="transformer").memory_shape)
    assert f"{numbers:,} numbers" in PAGE
