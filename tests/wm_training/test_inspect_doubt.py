"""What `wm inspect` says about doubt: novelty, foretold errors, cameras, the belief's axes."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from wm_dynamics.checkpoint import load_checkpoint, save_checkpoint
from wm_dynamics.config import SIZES
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_dynamics.variants import variant
from wm_training import inspect_beyond, inspect_drives, inspect_unusual
from wm_training.commands import calibrate
from wm_training.inspect_beyond import Beyond, measure_beyond
from wm_training.inspect_doubt import forecast_errors, head_errors, spearman_by_head
from wm_training.inspect_drives import NORMAL, _kept
from wm_training.inspect_moments import measure, window_sampler
from wm_training.inspect_run import inspect
from wm_training.inspect_strips import HEADER, MARGIN, TILE, scenes, strip, video
from wm_training.inspect_summary import find, summary
from wm_training.inspect_traversal import DEVIATIONS, principal, traverse
from wm_training.inspect_unusual import detect, differs, lasting, whole_drives
from wm_training.novelty_data import measure_novelty
from wm_training.store import Store, StoreWriter
from wm_training.store_columns import COLUMNS, camera_columns

FRAMES = 200


@pytest.fixture(autouse=True)
def quick_intervals(monkeypatch):
    """Few resamples: no test here looks at how wide an interval is."""
    monkeypatch.setattr("wm_training.inspect_metrics.RESAMPLES", 40)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, write_store):
    return write_store(tmp_path_factory.mktemp("data") / "store", episodes=12, frames=FRAMES)


@pytest.fixture(scope="module")
def model(folder):
    made = WorldModel.untrained(SIZES["tiny"])
    made.novelty = measure_novelty(made, Store.open(folder), windows=80)
    return made


@pytest.fixture(scope="module")
def moments(model, folder):
    return measure(model, Store.open(folder), 60)


def write_camera_store(path, episode, episodes=4, frames=FRAMES, seed=0):
    """Synthetic driving whose pictures grow brighter with speed and carry moving blocks."""
    rng = np.random.default_rng(seed)
    with StoreWriter(path, columns=(*COLUMNS, *camera_columns(["front"]))) as writer:
        for _ in range(episodes):
            arrays = episode(rng, frames)
            coarse = rng.integers(0, 120, (frames, 5, 9, 3))
            light = 12 * arrays["state"][:, 0] * 10
            image = np.clip(coarse + light[:, None, None, None], 0, 255).astype(np.uint8)
            arrays["image-front"] = image.repeat(16, 1).repeat(16, 2)
            arrays["age-front"] = np.zeros(frames)
            writer.append_episode(arrays, {})
    return path


def test_disturbed_drives_are_told_from_usual_ones(model, tmp_path, episode, monkeypatch):
    paths = {name: tmp_path / name for name in (NORMAL, "speed_scale", "objects_gone")}
    for name, path in paths.items():
        rng = np.random.default_rng(5)
        with StoreWriter(path) as writer:
            for _ in range(6):
                arrays = episode(rng, FRAMES)
                if name == "speed_scale":
                    arrays["state"] = arrays["state"] * 0.2
                if name == "objects_gone":  # and nothing else: half of the time
                    arrays["bev"][: FRAMES // 2] &= ~np.uint8(8)
                writer.append_episode(arrays, {})
    monkeypatch.setattr(inspect_unusual, "unusual_stores", lambda town, camera, root: paths)
    found = detect(model, model.novelty, ["anywhere"], tmp_path)
    assert set(found.areas) == {"speed_scale", "objects_gone"}
    assert found.areas["speed_scale"].value > 0.9
    assert found.false_alarms < 0.2 and 0.5 < found.pooled.value <= 1.0
    counts = {kind: len(scores) for kind, scores in found.disturbed.items()}
    assert counts["objects_gone"] < 0.7 * counts["speed_scale"], "untouched steps do not count"
    assert found.areas["speed_scale"].low <= found.areas["speed_scale"].value


def test_only_what_is_seen_counts_as_disturbed(model, folder):
    batch = whole_drives(model, Store.open(folder))
    assert batch["mask"].shape == (12, 100) and batch["bev"].shape[:2] == (12, 100)
    other = {**batch, "bev": batch["bev"].clone()}
    other["bev"][2, 7, :2, :2] ^= 1  # four cells are no vehicle
    assert not differs(model, batch, other).any()
    other["bev"][2, 7, :4, :4] ^= 1
    assert np.argwhere(differs(model, batch, other)).tolist() == [[2, 7]]
    assert np.flatnonzero(lasting(differs(model, batch, other))[2]).tolist() == [7, 8, 9, 10, 11]


def test_what_is_recorded_is_kept_by_content(tmp_path):
    made = []

    def record(out):
        out.mkdir()
        made.append(out)

    first = _kept(tmp_path, "town", {"frames": 5}, record)
    assert _kept(tmp_path, "town", {"frames": 5}, record) == first and len(made) == 1
    assert _kept(tmp_path, "town", {"frames": 6}, record) != first and len(made) == 2

    def fail(out):
        out.mkdir()
        raise RuntimeError("no simulator")

    with pytest.raises(RuntimeError):
        _kept(tmp_path, "other", {}, fail)
    assert {path.name for path in tmp_path.iterdir()} == {p.name for p in (first, *tmp_path.glob(
        "town-*"))}  # fmt: skip


def test_without_towns_or_a_measure_there_is_a_reason(model, tmp_path, monkeypatch):
    nowhere = measure_beyond(model, [], [], tmp_path, tmp_path)
    assert "--towns" in nowhere.no_detection and "--towns" in nowhere.no_counterfactual
    recorded = []

    def record(town, camera, root):
        recorded.append((town, camera))
        return tmp_path / "nothing"

    monkeypatch.setattr(inspect_beyond, "counterfactual_store", record)
    sees = WorldModel.untrained(variant("tiny", inputs="camera"))
    blind = WorldModel.untrained(variant("tiny"))
    for one, camera in ((sees, True), (blind, False)):
        unmeasured = measure_beyond(one, ["val01"], [], tmp_path, tmp_path)
        assert recorded.pop() == ("val01", camera)
        assert "wm calibrate" in unmeasured.no_detection
        assert "nothing" in unmeasured.no_counterfactual


def test_the_page_shows_what_was_found(model, folder, moments, tmp_path):
    rng = np.random.default_rng(0)
    area = inspect_unusual.area
    usual, odd = rng.normal(0, 1, 400), rng.normal(3, 1, 400)
    both = area(np.r_[usual, odd], np.arange(800) >= 400, np.arange(800) % 7)
    found = inspect_unusual.Detection(usual, {"fog": odd}, {"fog": both}, both, 2.3, 0.01, 0.01)
    branches = {"collision_auroc": 0.93, "gap_bias_m": 0.4, "stop_bias_m": None}
    branches |= {"intervals": {"gap_bias_m": [0.1, 0.7]}, "counts": {"gap_bias_m": 60}}
    beyond = Beyond(found, "", branches, "", None)
    result = inspect(model, Store.open(folder), None, tmp_path, 40, "test", beyond)
    assert result["ood_auroc"] == pytest.approx(both.value, abs=1e-4)
    assert result["intervals"]["ood_auroc"] and "ood_auroc" not in result["why"]
    assert result["counterfactual"]["gap_bias_m"] == 0.4
    assert result["counts"]["counterfactual"]["gap_bias_m"] == 60
    assert result["details"]["ood"]["auroc"] == {"fog": result["ood_auroc"]}
    assert 0.5 < result["details"]["ood"]["found"]["fog"] < 1.0
    page = (tmp_path / "index.html").read_text()
    for name in ("novelty", "foretold", "traversal"):
        assert cv2.imread(str(tmp_path / f"{name}.png")).std() > 0
    assert page.count("<b>Good:</b>") >= 8 and "gap bias m" in page


def test_error_is_foretold_by_disagreement(moments):
    rng = np.random.default_rng(0)
    doubt = rng.uniform(0.01, 1.0, 400)
    many = replace(moments, disagreement=doubt, episode=np.arange(400) // 20)
    error = 2.0 * doubt**1.5 * rng.lognormal(0, 0.3, 400)
    forecast = forecast_errors(many, error)
    assert forecast.expected.mean() == pytest.approx(error.mean(), rel=0.15)
    expected, came, low, high = forecast.tenths().T
    assert (np.diff(expected) > 0).all() and np.corrcoef(expected, came)[0, 1] > 0.98
    assert (low < came).all() and (came < high).all()
    assert forecast_errors(replace(many, episode=np.zeros(400)), error) is None


def test_errors_by_head(moments):
    errors = head_errors(moments)
    labels = moments.labels
    row = int(
        np.flatnonzero(moments.ego.inside.all(1) & (labels["leader_present"] > 0.5).all(1))[0]
    )
    gap = np.abs(moments.heads["leader_gap"][row] - labels["leader_gap"][row]).mean()
    assert errors["leader_gap"][row] == pytest.approx(gap, rel=1e-5)
    nobody = replace(moments, labels=labels | {"leader_present": 0 * labels["leader_present"]})
    assert np.isnan(head_errors(nobody)["leader_gap"]).all()
    assert spearman_by_head(nobody)["leader_gap"] is None
    known = replace(moments, disagreement=errors["lateral_deviation"])
    assert spearman_by_head(known)["lateral_deviation"] == pytest.approx(1.0)


def test_components(model, moments, tmp_path):
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(500, 2)) * [3.0, 1.0]
    mixing = np.linalg.qr(rng.normal(size=(6, 6)))[0][:2]
    axes, deviations, shares = principal(hidden @ mixing, 2)
    np.testing.assert_allclose(deviations, [3.0, 1.0], rtol=0.1)
    assert abs(axes[0] @ mixing[0]) > 0.99 and shares.sum() == pytest.approx(1.0)
    picture = cv2.imread(str(traverse(model, moments, 3, tmp_path / "axes.png")))
    assert picture.shape[1] == len(DEVIATIONS) * (TILE + 2 * MARGIN)
    silent = WorldModel.untrained(SIZES["tiny"].model_copy(update={"decode_bev": False}))
    assert traverse(silent, moments, 3, tmp_path / "none.png") is None


def test_a_camera_model_is_measured_and_shown(tmp_path, episode, monkeypatch):
    path = write_camera_store(tmp_path / "store", episode, episodes=8)
    store = Store.open(path)
    seer = WorldModel.untrained(variant("tiny", inputs="camera"))
    seer.novelty = measure_novelty(seer, store, windows=48)
    assert set(seer.novelty.groups) == {"scene", "doubt", "motion", "camera_front"}
    moments = measure(seer, store, 24)
    result = summary(moments, find(moments, None, Beyond()))
    assert result["ego_error_m"]["3s"] > 0
    sampler = window_sampler(seer, store)
    shown = scenes(seer, sampler, sampler.starts[:2])
    truth, drawn = shown.cameras["camera_front"]
    assert truth.shape == (2, 16, 80, 144, 3) and drawn.shape == (2, 16, 40, 72, 3)
    sheet = strip(shown, 0)
    masks = 2 * (TILE + 2 * MARGIN)
    assert sheet.shape[0] == HEADER + masks + 2 * (round(TILE * 80 / 144) + 2 * MARGIN)
    video(shown, 0, tmp_path / "film.mp4")
    assert cv2.VideoCapture(str(tmp_path / "film.mp4")).read()[0]
    assert traverse(seer, moments, 0, tmp_path / "axes.png").exists()
    other = write_camera_store(tmp_path / "other", episode, episodes=4, seed=9)
    monkeypatch.setattr(inspect_unusual, "unusual_stores", lambda *_: {NORMAL: other})
    found = detect(seer, seer.novelty, ["anywhere"], tmp_path)
    assert set(found.areas) == set(inspect_unusual.PICTURE_FAULTS)
    easy = ("camera_black", "camera_blur", "camera_frozen")
    assert min(found.areas[kind].value for kind in easy) > 0.9


def test_a_store_without_what_the_model_sees_is_refused(folder):
    with pytest.raises(UserError, match="no stream 'camera_front'"):
        measure(WorldModel.untrained(variant("tiny", inputs="camera")), Store.open(folder), 4)


def test_calibrate_writes_beside_the_model(folder, tmp_path, capsys):
    model = WorldModel.untrained(SIZES["tiny"])
    save_checkpoint(model, tmp_path / "model")
    calibrate.main(calibrate.Args(model=tmp_path / "model", data=[folder], windows=60))
    novelty = load_checkpoint(tmp_path / "model").novelty
    assert novelty.facts["data_hash"] == Store.open(folder).hash
    assert f"{novelty.threshold:.2f}" in capsys.readouterr().out.replace("\n", "")


@pytest.mark.slow
def test_drives_are_recorded_in_the_simulator(tmp_path, monkeypatch):
    monkeypatch.setattr(inspect_drives, "DRIVES", 2)
    monkeypatch.setattr(inspect_drives, "DRIVE_FRAMES", 40)
    stores = inspect_drives.unusual_stores("val01", False, tmp_path)
    batches = {name: Store.open(path) for name, path in stores.items()}
    usual = batches.pop(NORMAL)
    for name, store in batches.items():
        if not name.startswith(inspect_unusual.DRIVEN):
            np.testing.assert_array_equal(store.starts, usual.starts)
            assert (
                any((a != b).any() for a, b in zip(store.bev, usual.bev, strict=True))
                or (store.columns["state"] != usual.columns["state"]).any()
            )
    assert torch.is_tensor(whole_drives(WorldModel.untrained(SIZES["tiny"]), usual)["bev"])
