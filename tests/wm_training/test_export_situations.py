"""What an int8 export is calibrated on: moments of recorded driving."""

from __future__ import annotations

import numpy as np
import pytest

from wm_dynamics.checkpoint import save_checkpoint
from wm_dynamics.config import SIZES
from wm_dynamics.errors import UserError
from wm_dynamics.export.folder import open_export
from wm_dynamics.model import WorldModel
from wm_training.commands import export as command
from wm_training.export_situations import read_situations

CONFIG = SIZES["tiny"]


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    save_checkpoint(WorldModel.untrained(CONFIG, seed=1), folder)
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory, write_store):
    return write_store(tmp_path_factory.mktemp("data") / "store", 2)


def test_moments_are_what_the_model_believes_and_what_was_done(model_dir, store):
    found = read_situations(model_dir, [store], 5, seed=3)
    assert found.deter.shape == (5, CONFIG.deter) and found.stoch.dtype == np.int64
    assert found.actions.shape == (5, CONFIG.horizon, 2) and np.abs(found.actions).max() <= 1.0
    assert found.memory is None and 0.2 < found.ego_state[:, 0].mean() < 0.8  # speed / 10
    again, other = (read_situations(model_dir, [store], 5, seed=seed) for seed in (3, 4))
    np.testing.assert_array_equal(found.deter, again.deter)
    np.testing.assert_array_equal(found.actions, again.actions)
    assert not np.array_equal(found.deter, other.deter)


def test_a_bag_is_read_as_the_store_it_makes(model_dir, store, tmp_path, monkeypatch, write_store):
    made = []

    def build(bags, out, options, console):  # how bags become stores is tested elsewhere
        made.append((bags, out))
        write_store(out, 2)

    monkeypatch.setattr("wm_training.export_situations.build_store", build)
    bag = tmp_path / "bag"
    found, same = (read_situations(model_dir, [path], 5) for path in (bag, store))
    np.testing.assert_array_equal(found.actions, same.actions)
    ((bags, out),) = made
    assert bags == [bag] and not out.exists(), "what was made of the bag is gone"


def test_the_command_calibrates_on_a_store(model_dir, store, tmp_path):
    out = tmp_path / "export"
    command.main(command.Args(model_dir, out, ("int8",), (store,), moments=4))
    export = open_export(out)
    assert export.facts["calibration"] == {"data": ["store"], "moments": 4, "seed": 0}
    assert {g.precision for n, g in export.graphs.items() if n.startswith("step")} == {"int8"}


def test_what_is_no_driving(model_dir, tmp_path):
    with pytest.raises(UserError, match="nothing to calibrate"):
        read_situations(model_dir, [])
    (tmp_path / "photos").mkdir()
    with pytest.raises(UserError, match="photos"):
        read_situations(model_dir, [tmp_path / "photos"])
