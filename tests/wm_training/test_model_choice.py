"""Which model is trained: by name, field by field, or begun from another's weights."""

from __future__ import annotations

import json
import re

import pytest
import torch

from wm_dynamics.checkpoint import load_checkpoint, save_checkpoint
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_dynamics.variants import INPUTS, variant
from wm_training.commands.train import Args, main
from wm_training.model_choice import change_config, kind_of, warm_start

pytestmark = pytest.mark.usefixtures("one_thread")


def test_names_of_a_models_shape():
    for size in ("tiny", "small", "medium", "large"):
        for inputs in INPUTS:
            names = {"size": size, "core": "block_gru", "latent": "gaussian", "inputs": inputs}
            assert kind_of(variant(**names)) == names
    assert kind_of(variant("tiny", deter=40))["size"] == "custom"
    assert kind_of(variant("tiny", route=False))["inputs"] == "custom"
    assert kind_of(variant("tiny", modality_dropout=0.1, ensemble=2))["size"] == "tiny"


def test_fields_are_set_one_by_one():
    config = variant("tiny", inputs="camera")
    changes = ["ensemble=2", "camera.height=80", "camera.names=[front, left]", "dt=0.1"]
    changed = change_config(config, changes)
    assert (changed.ensemble, changed.dt, changed.camera.height) == (2, 0.1, 80)
    assert changed.cameras == ("camera_front", "camera_left")
    assert changed.model_copy(update={"ensemble": 3, "dt": 0.2, "camera": None}) == (
        config.model_copy(update={"camera": None})
    )
    assert change_config(config, []) == config
    for change, text in (
        ("ensembel=2", "--set ensembel=2: write field=value; the fields are bev, "),
        ("ensemble", "--set ensemble: write field=value"),
        ("ensemble=0", "--set ensemble: Input should be greater"),
        ("lidar.size=64", "--set lidar.size=64: the model has no 'lidar' to change"),
        ("camera.hight=64", "the fields are cnn_channels, "),
        ("ensemble=[", "--set ensemble=[: the value is not YAML"),
    ):
        with pytest.raises(UserError, match=re.escape(text)):
            change_config(config, [change])


def test_a_warm_start_takes_what_both_have():
    old = WorldModel.untrained(variant("tiny", ensemble=2), seed=1)
    config = variant("tiny", ensemble=3, decode_bev=False)
    warm = warm_start(config, old, seed=5)
    new, begun, random = (
        m.state_dict() for m in (warm.model, old, WorldModel.untrained(config, 5))
    )
    assert {name.split(".")[1] for name in warm.fresh} == {"priors"}
    assert {name.partition(".")[0] for name in warm.dropped} == {"decoder"}
    for name, value in new.items():
        assert torch.equal(value, (random if name in warm.fresh else begun)[name]), name
    assert set(new) == (set(begun) | set(warm.fresh)) - set(warm.dropped)
    assert f"fresh: rssm ({len(warm.fresh)}); left behind: decoder" in warm.account()
    assert warm_start(old.config, old, seed=5).model is old
    seeing_less = warm_start(old.config.model_copy(update={"modality_dropout": 0.2}), old, seed=5)
    assert {name.rpartition(".")[0] for name in seeing_less.fresh} == {"encoder.missing"}
    with pytest.raises(UserError, match=r"encoder.out.0.weight is .* adds or removes whole parts"):
        warm_start(variant("tiny", ensemble=2, embed=64), old, seed=0)


def test_a_model_that_sees_something_else_keeps_what_it_knows_of_the_world():
    old = WorldModel.untrained(variant("tiny"), seed=1)
    warm = warm_start(variant("tiny", inputs="camera"), old, seed=5)
    begun = old.state_dict()
    for name, value in warm.model.state_dict().items():
        if name.startswith(("rssm.", "head.", "ego.", "decoder.")):
            torch.testing.assert_close(value, begun[name])
    assert "encoder.out.0.weight" in warm.fresh
    assert any(name.startswith("encoder.cnn") for name in warm.dropped)


def test_the_command_starts_warm(tmp_path, write_store, capsys):
    old = WorldModel.untrained(variant("tiny"), seed=1)
    save_checkpoint(old, tmp_path / "old")
    store, out = write_store(tmp_path / "data", 3), tmp_path / "run"
    options = {"data": [store], "out": out, "batch": 2, "ego_steps": 1}
    main(Args(steps=1, init=tmp_path / "old", set=["ensemble=4"], **options))
    assert "fresh: rssm" in capsys.readouterr().out
    model = load_checkpoint(out)
    assert model.config == old.config.model_copy(update={"ensemble": 4})
    assert (model.head[0].weight - old.head[0].weight).abs().max() < 0.01
    training = json.loads((out / "metadata.json").read_text())["training"]
    assert training["size"] == "tiny" and training["changes"] == ["ensemble=4"]
    main(Args(steps=2, resume=True, set=["ensemble=4"], **options))
    with pytest.raises(UserError, match="changes = "):
        main(Args(steps=3, resume=True, set=["ensemble=2"], **options))
    main(Args(steps=1, set=["deter=40"], size="tiny", **(options | {"out": tmp_path / "cold"})))
    assert load_checkpoint(tmp_path / "cold").config == variant("tiny", deter=40)
