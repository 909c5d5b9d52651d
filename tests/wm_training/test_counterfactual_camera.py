"""Same situation, other actions, for models that look: what is seen before a fork, and after it."""

from __future__ import annotations

import numpy as np
import pytest

from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_dynamics.variants import variant
from wm_perception.camera_stream import FRONT
from wm_sim.camera import CameraConfig, CameraUnavailable
from wm_sim.expert import Expert
from wm_sim.simulator import Simulator
from wm_training import counterfactual, counterfactual_pictures
from wm_training.commands.counterfactual import Counterfactual
from wm_training.commands.counterfactual import counterfactual as run_command
from wm_training.counterfactual import CounterfactualJob
from wm_training.counterfactual_drives import begin_drive
from wm_training.counterfactual_eval import gather
from wm_training.sampler import WindowSampler
from wm_training.situations import quota
from wm_training.store import Store, StoreWriter
from wm_training.store_columns import AGE, COLUMNS, IMAGE, camera_columns
from wm_training.store_manifest import verify

SEEN = 23  # frames up to the fork
SITUATIONS, SEED = 4, 20  # the second drive of this seed meets one, in the rain
MODEL = variant("tiny", inputs="camera")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Situations of the small town, collected where nothing has been drawn before."""
    out = tmp_path_factory.mktemp("counterfactual") / "tiny"
    counterfactual.collect([CounterfactualJob("tiny", SITUATIONS, SEED, out, camera=True)], 1)
    return out


@pytest.fixture(scope="module")
def store(path) -> Store:
    return Store.open(path)


def drive_again(info: dict, found: list[str]) -> np.ndarray:
    """(SEEN, h, w, 3) pictures before a situation, of the same drive in another simulator."""
    job = CounterfactualJob(info["town"], SITUATIONS, info["seed"], None, camera=True)  # type: ignore[arg-type]
    with Simulator(info["town"], camera=CameraConfig()) as simulator:
        wanted, rng = quota(SITUATIONS, found).open, job.rng(0, info["drive"])
        driver, _ = begin_drive(simulator, wanted, Expert(), rng, job.frame_dt, info["weather"])
        frames = [simulator.frame()]
        while len(frames) <= info["frame"]:
            frames.append(simulator.step(driver.drive(frames[-1])))
    return np.stack([FRONT.fit(frame.image) for frame in frames[-SEEN:]])  # type: ignore[arg-type]


@pytest.mark.camera
def test_the_past_looks_as_it_does_to_a_simulator_with_a_camera(store):
    firsts = store.infos[::8]
    info = next(i for i in firsts if i["drive"] > 0 and i["weather"] == "rain")
    found = [other["kind"] for other in firsts if other["drive"] < info["drive"]]
    expected = drive_again(info, found)
    assert expected.std() > 20.0 and (expected[-1] != expected[0]).any()
    for branch in range(8):
        pictures = store.images[FRONT.camera][8 * info["situation"] + branch]
        np.testing.assert_array_equal(pictures[:SEEN], expected)


@pytest.mark.camera
def test_nothing_is_seen_after_the_fork(store):
    for episode, info in enumerate(store.infos):
        begin, end = store.starts[episode : episode + 2]
        ages = store.ages[FRONT.camera][begin:end]
        assert info["fork_frame"] == SEEN - 1
        assert not ages[:SEEN].any() and np.isnan(ages[SEEN:]).all() and len(ages) > SEEN
        assert not store.images[FRONT.camera][episode][SEEN:].any()
    with pytest.raises(UserError, match="a camera does not learn from them"):
        WindowSampler(store, 24, 2, streams=(FRONT.name,))


@pytest.mark.camera
def test_what_branches_share_is_stored_once(path, store):
    verify(path)
    inodes: dict[tuple[int, int], set[int]] = {}
    for episode, info in enumerate(store.infos):
        key = (info["situation"], int(np.diff(store.starts)[episode]))
        file = path / f"episode-{episode:06d}" / f"{IMAGE}{FRONT.camera}.npy"
        inodes.setdefault(key, set()).add(file.stat().st_ino)
    assert all(len(files) == 1 for files in inodes.values())
    assert len(inodes) == len(set.union(*inodes.values())) < len(store.infos)


@pytest.mark.camera
def test_a_model_that_looks_is_measured(store, path, monkeypatch):
    model = WorldModel.untrained(MODEL)
    used: list = []
    observe = model.observe_belief
    monkeypatch.setattr(
        model, "observe_belief", lambda *given: used.append(given[3][FRONT.name]) or observe(*given)
    )
    assert len(gather(model, store).way) == 8 * SITUATIONS
    assert used and all((pictures.flatten(1).amax(1) > 0).all() for pictures in used)
    # A history that lacks a picture is no history.
    store.ages[FRONT.camera][store.starts[3] + SEEN - 1] = np.nan
    with pytest.raises(UserError, match="lack their pictures"):
        gather(model, store)
    store.ages[FRONT.camera][store.starts[3] + SEEN - 1] = 0.0


def test_situations_without_pictures_are_refused(tmp_path, write_store):
    path = write_store(tmp_path / "blind", episodes=1)
    store = Store.open(path)
    store.infos[0]["fork_frame"] = SEEN - 1
    with pytest.raises(UserError, match="counterfactual --camera"):
        gather(WorldModel.untrained(MODEL), store)


def test_who_has_drawn_cannot_fork_one_that_draws(tiny_simulator, monkeypatch):
    monkeypatch.setitem(counterfactual_pictures.sys.modules, "moderngl", np)
    with pytest.raises(RuntimeError, match="drawn pictures"):
        counterfactual_pictures.draw(tiny_simulator, [tiny_simulator.view()])


def test_without_opengl_the_user_is_told(tiny_simulator, monkeypatch):
    def fails(*_):
        raise CameraUnavailable("no EGL here")

    monkeypatch.delitem(counterfactual_pictures.sys.modules, "moderngl", raising=False)
    monkeypatch.setattr(counterfactual_pictures, "Renderer", fails)
    with pytest.raises(CameraUnavailable, match="no EGL here"):
        counterfactual_pictures.draw(tiny_simulator, [tiny_simulator.view()])


@pytest.fixture
def tiny_simulator():
    with Simulator("tiny") as simulator:
        simulator.start_route(0)
        yield simulator


@pytest.mark.parametrize("camera", [True, False])
def test_the_command_asks_for_pictures(tmp_path, monkeypatch, camera):
    jobs: list[CounterfactualJob] = []
    monkeypatch.setattr(counterfactual, "collect", lambda asked, processes: jobs.extend(asked))
    run_command(Counterfactual(("tiny",), 3, camera, out=tmp_path))
    assert [(job.situations, job.camera) for job in jobs] == [(3, camera)]


def test_a_store_writes_over_what_an_unfinished_one_shared(tmp_path, episode):
    names = (*COLUMNS, *camera_columns([FRONT.camera]))
    rng = np.random.default_rng(0)
    episodes = []
    for value in (1, 1, 2):
        data = episode(rng)
        frames = len(data["bev"])
        data |= {IMAGE + FRONT.camera: np.full((frames, 4, 6, 3), value, np.uint8)}
        data |= {AGE + FRONT.camera: np.zeros(frames, np.float32)}
        episodes.append((data, {}))
    shared = [(data | {IMAGE + FRONT.camera: episodes[0][0][IMAGE + FRONT.camera]}, {})
              for data, _ in episodes]  # fmt: skip
    with StoreWriter(tmp_path / "store", columns=names) as writer:
        writer.append_episodes(shared)
    (tmp_path / "store" / "manifest.json").unlink()  # as if it had been killed before the end
    with StoreWriter(tmp_path / "store", columns=names) as writer:
        writer.append_episodes(episodes)
    verify(tmp_path / "store")
    pictures = Store.open(tmp_path / "store").images[FRONT.camera]
    assert [int(p.max()) for p in pictures] == [1, 1, 2]
