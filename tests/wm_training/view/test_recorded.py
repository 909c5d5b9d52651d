"""Recordings: shown at any moment, also when they are broken; planned again by another model."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from browser import browser
from watcher import PATIENCE_S, Watch, running_view, running_wm

pytest.importorskip("rclpy", reason="needs ROS 2 (pip install . brings it)")

from wm_dynamics.backend import TorchBackend
from wm_dynamics.checkpoint import save_checkpoint
from wm_dynamics.config import SIZES
from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_planner.driver import PlannerDriver
from wm_planner.planner_config import PlannerConfig
from wm_sim.simulator import Simulator
from wm_training.bag_writer import BagWriter
from wm_training.drive_bag import DriveBag
from wm_training.replay_difference import difference
from wm_training.replay_plans import Pair, Wish, along
from wm_training.view.bag_index import BagIndex
from wm_training.view.collector import HISTORY
from wm_training.view.events import changes
from wm_training.view.planned_again import PlannedAgain
from wm_training.view.recorded import BagSource

FRAMES = 40


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """Two models with random weights."""
    folder = tmp_path_factory.mktemp("models")
    for seed in (0, 1):
        save_checkpoint(WorldModel.untrained(SIZES["tiny"], seed=seed), folder / str(seed))
    return folder


@pytest.fixture(scope="module")
def bag(tmp_path_factory) -> Path:
    """A short drive of the first of them with everything that it thought."""
    path = tmp_path_factory.mktemp("bags") / "drive"
    backend = TorchBackend(WorldModel.untrained(SIZES["tiny"], seed=0))
    driver = PlannerDriver(backend, PlannerConfig())
    simulator = Simulator("tiny", frame_dt=0.1)
    scene = simulator.start_route(0, 0, 2)
    driver.reset(scene, 0)
    recording = DriveBag(path, simulator, driver, backend)
    recording.begin(scene, simulator.frame().stamp_ns)
    for _ in range(FRAMES):
        frame = simulator.frame()
        command = driver.drive(frame)
        recording.add(frame)
        simulator.step(command)
    recording.close()
    simulator.close()
    return path


def part(source: BagSource, name: str) -> dict:
    return json.loads(next(p for p in source.parts.newer({}) if p.name == name).payload)


def test_any_moment_is_shown_as_it_was(bag):
    index = BagIndex(bag)
    assert len(index) == FRAMES and index.problem == "" and index.role == "ego_vehicle"
    source = BagSource(index)
    source.control({"do": "pause"})
    for frame in (30, 3, 17):
        source.control({"do": "seek", "t": index.times_s[frame] + 0.01})
        source.poll()
        state, place = part(source, "state"), index.at("odometry", frame).pose.pose.position
        assert state["ego"]["x"] == pytest.approx(place.x, abs=0.006)
        assert {"belief", "plan", "gate", "wish", "route"} <= set(state)
        assert state["age"]["latent"] == state["age"]["safety_state"] == 0.0
        past = part(source, "history")["rows"]
        assert past and past[-1][0] < state["t"]
        source.welcome()
        assert part(source, "history")["rows"][:-1] == past, "who comes now sees it, too"
    line = part(source, "about")["line"]
    assert len(line["t"]) == len(line["speed"]) == len(line["gate"]) == FRAMES


def test_playing_goes_on_to_the_end_and_stands(bag):
    now_s = 100.0
    source = BagSource(BagIndex(bag), clock=lambda: now_s)
    times = []
    for _ in range(60):
        source.poll()
        times.append(part(source, "state")["t"])
        now_s += 0.1
    assert times == sorted(times) and len(set(times)) == FRAMES
    assert not part(source, "bag")["playing"]
    assert part(source, "bag")["at"] == part(source, "bag")["length"]
    source.control({"do": "step", "frames": -1})
    source.poll()
    assert part(source, "state")["t"] == pytest.approx(times[-1] - 0.1)
    source.rest()
    now_s += 50.0
    source.control({"do": "play"})
    source.poll()
    assert part(source, "bag")["at"] < 4.0, "time stood still while nobody watched"


def test_the_past_of_a_moment_has_its_events():
    def row(t: float, gate: str | None, doubt: int | None) -> list:
        return [t, *({"gate": gate, "doubt": doubt}.get(name) for name in HISTORY)]

    past = [row(0.0, None, None), row(0.1, "NOMINAL", 0), row(0.2, "NOMINAL", 1),
            row(0.3, "EMERGENCY_STOP", 1), row(0.4, "NOMINAL", 0)]  # fmt: skip
    assert changes(past, ("t", *HISTORY)) == [
        (0.1, "gate: nominal", 0),
        (0.2, "planner: in doubt", 1),
        (0.3, "gate: emergency stop", 2),
        (0.4, "gate: nominal", 0),
        (0.4, "planner: no doubt any more", 0),
    ]


@pytest.mark.parametrize(
    "request_", [{"do": "fly"}, {"do": "seek"}, {"do": "seek", "t": "1"}, {"do": "pace", "pace": 0}]
)
def test_nonsense_is_refused_in_words(bag, request_):
    with pytest.raises(UserError, match="control|must be a number"):
        BagSource(BagIndex(bag)).control(request_)


def test_a_torn_recording_is_shown_as_far_as_it_goes(bag, tmp_path):
    whole = next(bag.glob("*.mcap")).read_bytes()
    torn, shred = tmp_path / "torn.mcap", tmp_path / "shred.mcap"
    # The footer says where the summary begins; the record before it ends the data.
    (summary,) = struct.unpack_from("<Q", whole, len(whole) - 28)
    torn.write_bytes(whole[: summary - 14])
    shred.write_bytes(whole[:200])
    source = BagSource(BagIndex(torn))
    source.poll()
    assert "cut off" in part(source, "about")["problem"]
    assert part(source, "state")["ego"]
    with pytest.raises(UserError, match="nothing to show.*cut off"):
        BagIndex(shred)


def test_what_is_no_recording_of_a_drive_is_said(tmp_path):
    writer = BagWriter(tmp_path / "words")
    writer.add_topic("/words", "std_msgs/msg/String")
    writer.close()
    (tmp_path / "noise.mcap").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "empty").mkdir()
    for name in ("words", "noise.mcap", "empty", "nowhere"):
        command = [sys.executable, "-m", "wm_training.cli", "view", tmp_path / name, "--port", "0"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.returncode == 2 and "Traceback" not in done.stderr, name
        assert name in done.stderr


def test_a_recording_in_the_browser_s_place(bag):
    with running_view(bag) as address, Watch(address) as watch:
        watch.until(lambda w: w.parts["about"]["kind"] == "bag")
        watch.ask(do="seek", t=1.0)
        watch.ask(do="pause")
        watch.until(lambda w: not w.parts["bag"]["playing"] and w.state["ego"])
        at = watch.parts["bag"]["at"]
        assert at >= 1.0
        watch.ask(do="step", frames=1)
        watch.until(lambda w: w.parts["bag"]["at"] > at)
        assert watch.abouts["futures"]["shape"][2] == 2


def test_who_watches_is_told_that_it_ends(bag):
    with browser() as page:
        with running_view(bag) as address:
            page.open(address)
            page.wait("document.body.dataset.link === 'live'")
        page.wait("document.querySelector('#banner').textContent.includes('has ended')")
        assert page.value("document.querySelector('#link').textContent") == "ended"


# ------------------------------------------------------------------ planned again


def replay(bag: Path, *options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wm_training.cli", "replay", str(bag), *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)


def surprise_moved(frames: list[dict]) -> float:
    """Median over frames of how far the second belief's surprise is from the first's, relative."""
    pairs = np.array([[row[side]["surprise"] for side in ("before", "after")] for row in frames])
    before, after = pairs[(pairs > 0).all(1)].T
    assert len(before) >= 8
    return float(np.median(np.abs(after / before - 1)))


def test_another_model_plans_something_else(bag, models, tmp_path):
    found = {}
    for seed in ("0", "1"):
        file = tmp_path / f"{seed}.json"
        done = replay(bag, "--model", models / seed, "--frames", 12, "--json", file)
        assert done.returncode == 0, done.stderr
        assert "planned twice" in done.stdout
        found[seed] = json.loads(file.read_text())
    same, other = found["0"]["difference"], found["1"]["difference"]
    assert found["0"]["about"]["recorded_plans"] and len(found["0"]["frames"]) == 12
    # The same belief. A bag rounds poses: a mask's edge may fall on the pixel beside it in some
    # frame, and the search may take another turn.
    assert surprise_moved(found["0"]["frames"]) < 1e-4
    assert surprise_moved(found["1"]["frames"]) > 1e-2
    assert same["apart_m"]["3 s"]["median"] < 0.2 * other["apart_m"]["3 s"]["median"]
    assert other["worst"][0]["difference"] >= other["worst"][-1]["difference"]


def test_a_driver_without_plans_is_refused(bag):
    done = replay(bag, "--driver", "expert")
    assert done.returncode == 2 and "makes no plans" in done.stderr


def test_the_difference_of_two_known_plans():
    ahead = tuple((float(i), 0.0) for i in range(3))
    moved = tuple((float(i), 2.0) for i in range(3))
    pairs = [
        Pair(0.0, Wish(0.1, 0.5, ahead, 10.0), Wish(0.3, -0.5, moved, 20.0)),
        Pair(2.0, Wish(0.1, 0.5, ahead, 10.0), Wish(0.1, 0.5, ahead, 20.0)),
        Pair(4.0, Wish(), Wish(0.0, 0.0)),
    ]
    found = difference(pairs)
    assert found["steer"]["median"] == pytest.approx(0.1)
    assert found["opposite_share"] == 0.5
    assert found["apart_m"]["3 s"]["median"] == 1.0
    assert found["plan_ms"] == {"before": 10.0, "after": 20.0}
    assert found["surprise"] == {"before": None, "after": None}
    assert [row["t"] for row in found["worst"]] == [0.0, 2.0]
    json.dumps(found, allow_nan=False)


def test_both_plans_are_shown_in_the_moments_that_have_them(bag):
    index = BagIndex(bag)
    ahead, moved = (((0.0, y),) * 3 for y in (0.0, 2.0))
    path = ((1.0, 2.0), (3.0, 4.0))
    pairs = [
        Pair(t, Wish(0.1, 0.5, ahead), Wish(0.3, -0.5, moved, surprise=4.0, path=path))
        for t in index.times_s[3:6]
    ]
    source = BagSource(index, again=PlannedAgain("other", 0.2, pairs))
    about = part(source, "about")
    assert about["again"]["name"] == "other" and about["again"]["worst"]
    assert about["line"]["apart"][2:7] == [None, 2.0, 2.0, 2.0, None]
    source.control({"do": "pause"})
    for frame, planned in ((4, True), (7, False)):
        source.control({"do": "seek", "t": index.times_s[frame]})
        source.poll()
        shown = next(p for p in source.parts.newer({}) if p.name == "again")
        assert bool(shown.payload) == planned
        if planned:
            assert np.frombuffer(shown.payload, "<f4").tolist() == [1.0, 2.0, 3.0, 4.0]
            assert shown.about["apart"] == 2.0 and shown.about["recorded"]["steer"] == 0.1
            assert shown.about["now"]["surprise"] == 4.0
            assert shown.about["now"]["plan_ms"] is None


def test_the_page_of_a_replay_has_both_plans(bag, models):
    with (
        running_wm("replay", bag, "--model", models / "1", "--view", "--view-port", 0) as address,
        browser() as page,
    ):
        page.size(1440, 900)
        page.open(address)
        page.wait("Boolean(window.view && view.model.again && view.model.again.data.byteLength)")
        apart = page.wait("document.querySelector('#again-apart').textContent")
        assert apart.startswith("plans ") and apart.endswith("m apart after 3 s")
        cells = (
            "[...document.querySelectorAll('#again-rows tr')].map((r) => r.cells[2].textContent)"
        )
        assert all(text[-1].isalnum() or text[-1] == "%" for text in page.value(cells))
        assert str(models / "1") in page.value("document.querySelector('#again-name').textContent")
        assert page.errors == []


def test_a_path_is_compared_only_as_far_as_it_goes():
    path = np.stack([np.arange(1, 11) * 0.2, np.zeros(10)], 1)
    one, two, three = along(path, 0.2)
    assert one == pytest.approx((1.0, 0.0)) and two == pytest.approx((2.0, 0.0))
    assert np.isnan(three).all()
