"""Training only some parts of a model."""

from __future__ import annotations

import pytest

from wm_dynamics.checkpoint import load_checkpoint, save_checkpoint
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_dynamics.variants import variant
from wm_training.commands.train import Args, main

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def begun(tmp_path):
    model = WorldModel.untrained(variant("tiny", forecast_channels=8), seed=1)
    save_checkpoint(model, tmp_path / "begun")
    return model


def test_only_the_named_part_learns(tmp_path, write_store, begun):
    data, out = write_store(tmp_path / "store", 3), tmp_path / "run"
    options = {"data": [data], "out": out, "batch": 2, "learn": ["forecast"]}
    main(Args(steps=2, init=tmp_path / "begun", **options))
    main(Args(steps=3, resume=True, **options))
    before, after = begun.state_dict(), load_checkpoint(out).state_dict()
    changed = {name.partition(".")[0] for name in before if not before[name].equal(after[name])}
    assert changed == {"forecast"}


def test_a_part_the_model_lacks_is_refused(tmp_path, write_store, begun):
    data = write_store(tmp_path / "store", 3)
    options = {"data": [data], "out": tmp_path / "run", "init": tmp_path / "begun", "steps": 1}
    with pytest.raises(UserError, match=r"--learn forcast: the model's parts are decoder, ego"):
        main(Args(learn=["forcast"], **options))
    with pytest.raises(UserError, match="nothing to learn"):
        main(Args(learn=["ego"], **options))
