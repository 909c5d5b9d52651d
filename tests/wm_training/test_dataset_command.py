"""``wm dataset``: what its options accept, and stores that go out and come back."""

from __future__ import annotations

import json

import pytest

from wm_dynamics.errors import UserError
from wm_training.bag_writer import BagWriter
from wm_training.commands.dataset import Args, Build, Check, Export, Import, Info, main


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"cameras": ("front",)}, "--cameras takes NAME=TOPIC"),
        ({"cameras": ("a=/x", "a=/y")}, "each name once"),
        ({"cameras": ("a/b=/x",)}, "a name becomes part of a file's"),
        ({"topics": ("odometer=/x",)}, "no part 'odometer'; parts: status, world_info"),
        ({"image_size": "0"}, "--image-size takes WIDTHxHEIGHT"),
        ({"image_size": "144x"}, "not '144x'"),
        ({"max_image_age": float("nan")}, "--max-image-age must be at least 0"),
        ({"frame_dt": float("nan")}, "--frame-dt must be a positive"),
        ({"bags": ()}, "name at least one bag"),
        ({}, "no recording at"),
    ],
)
def test_options_that_make_no_sense(tmp_path, options, text):
    for kind in (Build, Check):
        with pytest.raises(UserError, match=text):
            main(Args(kind(**{"bags": (tmp_path / "bag",)} | options)))


def test_check_says_what_is_missing_and_writes_no_store(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    writer = BagWriter(tmp_path / "bag")
    writer.add_topic("/speed", "std_msgs/msg/Float32")
    writer.write("/speed", 0, b"\0\1\0\0\0\0\0\0")
    writer.close()
    with pytest.raises(UserError, match="it has no /carla/hero/odometry, /carla/hero/vehicle_stat"):
        main(Args(Check((tmp_path / "bag",), role_name="hero", json=tmp_path / "out" / "a.json")))
    (account,) = json.loads((tmp_path / "out" / "a.json").read_text())["bags"]
    assert account["topics"]["/speed"] == {
        "type": "std_msgs/msg/Float32",
        "messages": 1,
        "used": 0,
        "dropped": {"not_needed": 1},
    }
    assert "other topics: 1" in capsys.readouterr().out
    assert not (tmp_path / "data").exists()


def test_out_and_in_again(tmp_path, write_store, capsys):
    store = write_store(tmp_path / "store", 2)
    main(Args(Export(store, tmp_path / "episodes")))
    main(Args(Import(tmp_path / "episodes", tmp_path / "back")))
    main(Args(Info((store, tmp_path / "back"), verify=True)))
    said = capsys.readouterr().out
    hashes = [line.split("hash ")[1] for line in said.splitlines() if "hash " in line]
    assert len(hashes) == 2 and len(set(hashes)) == 1
    assert said.count("every episode is what was written") == 2
    with pytest.raises(UserError, match="--frame-dt must be a positive"):
        main(Args(Import(tmp_path / "episodes", tmp_path / "x", frame_dt=-1.0)))
