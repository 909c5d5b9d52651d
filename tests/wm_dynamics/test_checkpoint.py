"""A model directory comes back the same, or says what is wrong with it."""

from __future__ import annotations

import json
import pickle

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from wm_dynamics.checkpoint import file_sha256, load_checkpoint, save_checkpoint
from wm_dynamics.config import SIZES, ModelConfig
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel


@pytest.fixture
def folder(tmp_path):
    model = WorldModel.untrained(SIZES["tiny"], seed=1)
    save_checkpoint(model, tmp_path / "model", data_hash="abc", metrics={"ego_path_3s_m": 0.2})
    return tmp_path / "model"


def rehash(folder) -> None:
    file = folder / "metadata.json"
    facts = json.loads(file.read_text())
    facts["weights_sha256"] = file_sha256(folder / "model.safetensors")
    file.write_text(json.dumps(facts))


def test_round_trip(folder):
    loaded = load_checkpoint(folder)
    assert loaded.hash == WorldModel.untrained(SIZES["tiny"], seed=1).hash
    assert loaded.config == SIZES["tiny"]
    assert loaded.metadata["data_hash"] == "abc"
    assert loaded.metadata["metrics"]["ego_path_3s_m"] == 0.2
    assert sorted(p.name for p in folder.iterdir()) == [
        "config.yaml",
        "metadata.json",
        "model.safetensors",
    ]


def test_no_pickle_in_the_directory(folder):
    for file in folder.iterdir():
        with pytest.raises((pickle.UnpicklingError, EOFError, ValueError, KeyError)):
            pickle.loads(file.read_bytes())


def test_missing_directory(tmp_path):
    with pytest.raises(UserError, match="no model at"):
        load_checkpoint(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["config.yaml", "metadata.json", "model.safetensors"])
def test_missing_file(folder, name):
    (folder / name).unlink()
    with pytest.raises(UserError, match=f"{name} is missing"):
        load_checkpoint(folder)


def test_altered_weights(folder):
    file = folder / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(UserError, match=r"is not the file metadata\.json describes"):
        load_checkpoint(folder)


def test_truncated_weights_with_a_matching_hash(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    rehash(folder)
    with pytest.raises(UserError, match="cannot be read"):
        load_checkpoint(folder)


def test_wrong_shape(folder):
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["deter"] = 64
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(UserError, match=r"weights and config\.yaml in .* disagree"):
        load_checkpoint(folder)


def test_missing_tensor(folder):
    tensors = load_file(folder / "model.safetensors")
    del tensors["rssm.inp.bias"]
    save_file(tensors, folder / "model.safetensors")
    rehash(folder)
    with pytest.raises(UserError, match=r"rssm\.inp\.bias: file absent"):
        load_checkpoint(folder)


def test_unknown_config_key(folder):
    with open(folder / "config.yaml", "a") as file:
        file.write("detre: 12\n")
    with pytest.raises(UserError, match="detre: Extra inputs are not permitted"):
        load_checkpoint(folder)


@pytest.mark.parametrize("text", ["[1, 2", "just words", ""])
def test_damaged_config(folder, text):
    (folder / "config.yaml").write_text(text)
    with pytest.raises(UserError, match=r"config\.yaml"):
        load_checkpoint(folder)


@pytest.mark.parametrize("text", ["{", "[]"])
def test_damaged_metadata(folder, text):
    (folder / "metadata.json").write_text(text)
    with pytest.raises(UserError, match=r"metadata\.json"):
        load_checkpoint(folder)


def test_sizes_are_valid_and_distinct():
    assert len({config.model_dump_json() for config in SIZES.values()}) == len(SIZES)
    for config in SIZES.values():
        assert ModelConfig.model_validate(config.model_dump()) == config


def test_saving_twice_replaces(folder):
    other = WorldModel.untrained(SIZES["tiny"], seed=2)
    save_checkpoint(other, folder)
    loaded = load_checkpoint(folder)
    assert loaded.hash == other.hash
    assert torch.equal(loaded.head[0].weight, other.head[0].weight)
