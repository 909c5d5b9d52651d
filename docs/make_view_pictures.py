"""Makes docs/images/view-*.png: ``python docs/make_view_pictures.py --bag FILE`` (needs Chromium).

The shipped model drives in process through dense traffic, recorded with everything that the graph
would say; the real server shows it in a real browser. Once the planner is broken on purpose: its
commands are no numbers for some seconds. Last, another model plans the same drive again.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from wm_dynamics.checkpoint import load_checkpoint
from wm_planner.driver import PlannerDriver, make_backend, make_planner
from wm_planner.paths import DEFAULT_MODEL, model_path
from wm_planner.planner_config import PlannerConfig
from wm_sim.camera import CameraConfig
from wm_sim.simulator import Simulator
from wm_sim.world import World
from wm_training.drive_bag import DriveBag
from wm_training.drivers import make_driver
from wm_training.replay_plans import RecordedWishes, replanned
from wm_training.scoring import RouteScorer
from wm_training.suites import RouteTask
from wm_training.view.bag_index import BagIndex
from wm_training.view.planned_again import PlannedAgain
from wm_training.view.recorded import BagSource
from wm_training.view.server import listening_socket, serve

ROOT = Path(__file__).resolve().parents[1]
TASK = RouteTask("test01", 1, 60, 0, world=World(pedestrians=24, cyclists=6))
LENGTH_S = 66.0
BROKEN_S = (42.5, 45.5)  # from, to
# The moments that are shown, s. The light turns green in that of the surprise.
MOMENTS = {"drive": 41.4, "red-light": 59.5, "surprise": 20.0, "fault": 44.0}
OTHER_MODEL = "driving-camera"


class Breakable:
    """A planner whose commands can be made nonsense."""

    def __init__(self, planner: Any):
        self._planner, self.broken = planner, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._planner, name)

    def plan(self, *arguments: Any) -> Any:
        """The plan, or one that must not be driven on."""
        plan = self._planner.plan(*arguments)
        return replace(plan, finite=False) if self.broken else plan


def drive(path: Path, task: RouteTask, seconds: float, broken_s: tuple[float, float]) -> None:
    """Drive a task for some time and record it; the planner is broken between two moments."""
    config, folder = PlannerConfig(), model_path(DEFAULT_MODEL)
    backend = make_backend("planner", load_checkpoint(folder))
    planner = Breakable(make_planner("planner", backend, folder, config))
    driver = PlannerDriver(backend, config, planner=planner)
    simulator = Simulator(task.town, frame_dt=config.frame_dt, camera=CameraConfig())
    scene = simulator.start_route(
        task.route, task.seed, task.traffic, task.route_suite, world=task.world
    )
    driver.reset(scene, task.seed)
    recorder = DriveBag(path, simulator, driver, backend)
    frame = simulator.frame()
    first_ns = frame.stamp_ns
    recorder.begin(scene, first_ns)
    scorer = RouteScorer(scene, task.time_limit_s, task.off_route_m)
    while scorer.update(frame) is None and frame.stamp_ns < first_ns + seconds * 1e9:
        now_s = (frame.stamp_ns - first_ns) * 1e-9
        planner.broken = broken_s[0] <= now_s < broken_s[1]
        command = driver.drive(frame)
        recorder.add(frame)
        frame = simulator.step(command)
    recorder.close()
    simulator.close()


def show(source: BagSource, pictures: dict[str, float], out: Path) -> None:
    """Take pictures of moments of a recording."""
    sys.path.append(str(ROOT / "tests" / "wm_training" / "view"))
    from browser import browser

    stop = threading.Event()
    with listening_socket("127.0.0.1", 0) as bound, browser() as page:
        serving = threading.Thread(target=lambda: asyncio.run(serve(source, bound, stop.is_set)))
        serving.start()
        try:
            page.size(1440, 900)
            page.open(f"http://127.0.0.1:{bound.getsockname()[1]}/")
            for name, time_s in pictures.items():
                take(page, time_s, out / f"view-{name}.png")
        finally:
            stop.set()
            serving.join()


def show_replay(bag: Path, out: Path) -> None:
    """The moment in which another model wants something else the most."""
    recorded, folder = RecordedWishes.open(bag), model_path(OTHER_MODEL)
    driver = make_driver("planner", folder)
    assert isinstance(driver, PlannerDriver)
    dt = load_checkpoint(folder).config.dt
    again = PlannedAgain(OTHER_MODEL, dt, list(replanned(bag, driver, dt, recorded)))
    source = BagSource(recorded.index, again=again)
    show(source, {"replay": again.about()["worst"][0]}, out)


def take(page: Any, time_s: float, path: Path) -> None:
    """One picture, at rest."""
    page.wait("Boolean(window.view && window.view.model.bag)")
    page.value('window.view.send({do: "pause"})')
    page.value(f'window.view.send({{do: "seek", t: {time_s}}})')
    page.wait(f"Math.abs(window.view.model.bag.at - {time_s}) < 0.05")
    page.wait("window.view.settled()")
    page.screenshot(path)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB, {page.errors or 'no errors'}")


def main() -> None:
    """Drive, show, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bag", type=Path, required=True, help="recording, made if missing")
    bag: Path = parser.parse_args().bag
    if not bag.exists():
        drive(bag, TASK, LENGTH_S, BROKEN_S)
    out = ROOT / "docs" / "images"
    show(BagSource(BagIndex(bag)), MOMENTS, out)
    show_replay(bag, out)


if __name__ == "__main__":
    main()
