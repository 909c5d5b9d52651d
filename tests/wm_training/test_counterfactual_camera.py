"""Same situation, other actions, for models that look: what is seen before a fork, and after it."""

from __future__ import annotations

import numpy as np
import pytest

from wm_dynamics.errors import UserError
from wm_dynamics.model import WorldModel
from wm_dynamics.variants import variant
from wm_perception.camera_stream import FRONT
from wm_perception.frame import Command
from wm_sim.camera import CameraConfig, CameraUnavailable
from wm_sim.expert import Expert
from wm_sim.simulator import Simulator
from wm_training import counterfactual, counterfactual_pictures
from wm_training.commands.counterfactual import Counterfactual
from wm_training.commands.counterfactual import counterfactual as run_command
from wm_training.counterfactual_drives import begin_drive
from wm_training.counterfactual_eval import gather
from wm_training.counterfactual_job import CounterfactualJob
from wm_training.sampler import WindowSampler
from wm_training.situations import quota
from wm_training.store import Store, StoreWriter
from wm_training.store_columns import AGE, COLUMNS, IMAGE, camera_columns
from wm_training.store_manifest import verify

SEEN = 23  # frames up to the fork
SITUATIONS, SEED = 4, 20  # the second drive of this seed meets one, in the rain
MODEL = variant("tiny", inputs="camera")
NOTHING = np.zeros((0, 2))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Situations of the small town, collected where nothing has been drawn before."""
    out = tmp_path_factory.mktemp("counterfactual") / "tiny"
    counterfactual.collect([CounterfactualJob("tiny", SITUATIONS, SEED, out, camera=True)], 1)
    return out


@pytest.fixture(scope="module")
def store(path) -> Store:
    return Store.open(path)


@pytest.fixture(scope="module")
def seen_on(tmp_path_factory) -> Store:
    """The same situations, watched to the end."""
    out = tmp_path_factory.mktemp("counterfactual") / "tiny"
    job = CounterfactualJob("tiny", SITUATIONS, SEED, out, camera=True, camera_after=True)
    counterfactual.collect([job], 1)
    return Store.open(out)


def drive_again(info: dict, found: list[str], then: np.ndarray = NOTHING) -> np.ndarray:
    """(SEEN + len(then), h, w, 3) pictures of a situation, of the same drive in another simulator.

    Args:
        info: of the episode.
        found: kinds of the situations before its drive.
        then: (F, 2) steer and accel after the fork.
    """
    job = CounterfactualJob(info["town"], SITUATIONS, info["seed"], None, camera=True)  # type: ignore[arg-type]
    with Simulator(info["town"], camera=CameraConfig()) as simulator:
        wanted, rng = quota(SITUATIONS, found).open, job.rng(0, info["drive"])
        driver, _ = begin_drive(simulator, wanted, Expert(), rng, job.frame_dt, info["weather"])
        frames = [simulator.frame()]
        while len(frames) <= info["frame"]:
            frames.append(simulator.step(driver.drive(frames[-1])))
        frames += [simulator.step(Command(*map(float, command))) for command in then]
    seen = frames[-SEEN - len(then) :]
    return np.stack([FRONT.fit(frame.image) for frame in seen])  # type: ignore[arg-type]


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
def test_what_a_branch_sees_is_what_a_camera_sees_that_goes_the_same_way(store, seen_on):
    firsts = seen_on.infos[::8]
    info = next(i for i in firsts if i["drive"] > 0 and i["weather"] == "rain")
    found = [other["kind"] for other in firsts if other["drive"] < info["drive"]]
    for branch in (1, 5):  # full throttle, and braking before it goes
        episode = 8 * info["situation"] + branch
        begin, end = seen_on.starts[episode : episode + 2]
        commands = seen_on.columns["command"][begin + SEEN : end]
        expected = drive_again(info, found, commands)
        pictures = seen_on.images[FRONT.camera][episode]
        drawn = np.arange(0, len(pictures), 2)
        # A store keeps commands in float32: the other vehicle drives a hair beside this one.
        np.testing.assert_allclose(pictures[drawn].astype(int), expected[drawn], atol=8)
        assert (pictures[drawn] != expected[drawn]).mean() < 1e-3
        assert (expected[-1] != expected[SEEN - 1]).any()
        # The same situation as without pictures of the branches.
        blind = store.starts[episode]
        np.testing.assert_array_equal(
            store.columns["labels"][blind : blind + end - begin],
            seen_on.columns["labels"][begin:end],
        )


@pytest.mark.camera
def test_a_camera_learns_from_branches_that_it_has_seen(seen_on):
    sampler = WindowSampler(seen_on, 24, 2, streams=(FRONT.name,))
    pictures = sampler.batch(32)[FRONT.name]
    assert pictures.shape[:2] == (32, 24) and pictures[:, 20].flatten(1).any(1).all()


@pytest.mark.camera
def test_nothing_is_seen_after_the_fork(store):
    for episode, info in enumerate(store.infos):
        begin, end = store.starts[episode : episode + 2]
        ages = store.ages[FRONT.camera][begin:end]
        assert info["fork_frame"] == SEEN - 1
        assert not ages[:SEEN].any() and np.isnan(ages[SEEN:]).all() and len(ages) > SEEN
        assert not store.images[FRONT.camera][episode][SEEN:].any()
    with pytest.raises(UserError, match="collect them with --camera-after"):
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
        counterfactual_pictures.Painter(tiny_simulator).past([tiny_simulator.view()])


def test_without_opengl_the_user_is_told(tiny_simulator, monkeypatch):
    def fails(*_, **__):
        raise CameraUnavailable("no EGL here")

    monkeypatch.delitem(counterfactual_pictures.sys.modules, "moderngl", raising=False)
    monkeypatch.setattr(counterfactual_pictures, "Renderer", fails)
    with pytest.raises(CameraUnavailable, match="no EGL here"):
        counterfactual_pictures.Painter(tiny_simulator).past([tiny_simulator.view()])


@pytest.fixture
def tiny_simulator():
    with Simulator("tiny") as simulator:
        simulator.start_route(0)
        yield simulator


@pytest.mark.parametrize("camera", [True, False])
def test_the_command_asks_for_pictures(tmp_path, monkeypatch, camera):
    jobs: list[CounterfactualJob] = []
    monkeypatch.setattr(counterfactual, "collect", lambda asked, processes: jobs.extend(asked))
    run_command(Counterfactual(("tiny",), 3, camera, camera, kinds=("queue",), out=tmp_path))
    (job,) = jobs
    assert (job.situations, job.camera, job.camera_after) == (3, camera, camera)
    assert job.kinds == ("queue",)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"camera_after": True}, "--camera-after goes on with what --camera begins"),
        ({"kinds": ("queue", "ufo")}, "--kinds ufo: there are queue, light"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, message):
    with pytest.raises(UserError, match=message):
        run_command(Counterfactual(("tiny",), 3, **wrong))


def test_only_the_kinds_asked_for_are_wanted():
    wanted = quota(7, ["cut_in"], ("crossing", "cut_in"))
    assert wanted.wanted == {"queue": 0, "light": 0, "crossing": 4, "cut_in": 3, "ordinary": 0}
    assert wanted.open == ["crossing", "cut_in"] and wanted.missing == 6


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
