"""A short animation of a drive and of what the model imagines: ``python docs/make_imagination.py``.

Drives in process, as ``wm eval`` does. Top view with the sampled futures, the front camera, the
surprise, and below what the model expects to see along its plan, drawn by the code that draws it on
/wm/imagined/bev and /wm/surprise. Writes docs/images/imagination.gif.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("LP_NUM_THREADS", "1")

import cv2
import numpy as np
import torch
from make_animation import shared_palette
from PIL import Image

from wm_dynamics.checkpoint import load_checkpoint
from wm_perception.conventions import to_map
from wm_planner.expectation import expect, unexpected
from wm_planner.expectation_pictures import bev_strip, surprise_picture
from wm_planner.imagination_memory import ImaginationMemory
from wm_planner.paths import model_path
from wm_sim.camera import CameraConfig
from wm_sim.simulator import Simulator
from wm_sim.world import World
from wm_training.drivers import make_driver
from wm_training.evaluation import drive_route
from wm_training.pictures import Imagination, top_view
from wm_training.suites import RouteTask

IMAGES = Path(__file__).parent / "images"
FRAME_DT, EVERY = 0.1, 2  # s between frames; every which of them becomes a picture
STEPS, TIMES_S = [0, 3, 5, 10, 15], [0.0, 0.6, 1.0, 2.0, 3.0]
SURPRISE_STEPS, STEP_NS = 5, 200_000_000
TILE, TOP, SIDE = 128, 430, 374


@dataclass
class Show:
    """Watches a drive and draws it.

    Attributes:
        begin_s, end_s: which part of the drive.
        pictures: drawn so far, BGR.
    """

    model: object
    begin_s: float
    end_s: float
    pictures: list[np.ndarray] = field(default_factory=list)
    memory: ImaginationMemory = field(default_factory=lambda: ImaginationMemory(30))
    frames: int = 0

    def watch(self, scene, frame, driver, scorer) -> None:
        """Called after every command."""
        seen, plan, stamp = driver.observation, driver.plan, frame.stamp_ns
        self.memory.believed(stamp, driver.filtered.latent, seen.state)
        self.memory.saw(stamp, np.array(seen.bev))
        self.frames += 1
        now_s = self.frames * FRAME_DT
        if now_s < self.begin_s or self.frames % EVERY:
            return
        if now_s > self.end_s:
            raise StopIteration
        moment = self.memory.moment(stamp)
        drawn = expect(self.model, moment, plan.actions, STEPS, cameras=False)
        strip = bev_strip(moment.mask, drawn.masks, TIMES_S, TILE)
        self.pictures.append(self._compose(scene, frame, plan, strip, self._surprise(stamp)))

    def _surprise(self, now_ns: int) -> np.ndarray:
        then_ns = now_ns - SURPRISE_STEPS * STEP_NS
        now, then = self.memory.moment(now_ns), self.memory.moment(then_ns)
        actions = self.memory.driven(then_ns, STEP_NS, SURPRISE_STEPS)
        drawn = expect(self.model, then, actions, [SURPRISE_STEPS], cameras=False)
        appeared, missing = unexpected(drawn.masks[0], now.mask)
        return surprise_picture(now.mask, appeared, missing, SURPRISE_STEPS * 0.2, 196)

    def _compose(self, scene, frame, plan, strip, surprise) -> np.ndarray:
        futures = to_map(plan.candidates, frame.ego.pose)
        view = top_view(scene, frame, Imagination(futures, plan.costs, plan.chosen))
        canvas = np.full((TOP + strip.shape[0], strip.shape[1], 3), 20, np.uint8)
        canvas[:TOP, :TOP] = cv2.resize(view, (TOP, TOP), interpolation=cv2.INTER_AREA)
        height = SIDE * 9 // 16
        camera = cv2.resize(frame.image[..., ::-1], (SIDE, height), interpolation=cv2.INTER_AREA)
        canvas[:height, -SIDE:] = camera
        canvas[height + 4 : height + 4 + len(surprise), -SIDE : -SIDE + 196] = surprise
        lines = [
            f"{3.6 * frame.ego.speed_mps:.0f} km/h",
            f"{len(plan.candidates)} futures",
            f"of {len(plan.path) * 0.2:.0f} s imagined",
            f"P(collision) {plan.collision_probability:.0%}",
        ]
        for row, line in enumerate(lines):
            place = (canvas.shape[1] - SIDE + 206, height + 44 + 24 * row)
            cv2.putText(canvas, line, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (235,) * 3, 1, 16)
        canvas[TOP:] = strip
        return canvas


def write_gif(pictures: list[np.ndarray], path: Path, width: int, colours: int = 128) -> None:
    """Pictures (H, W, 3) BGR as a GIF that repeats for ever."""
    height = width * pictures[0].shape[0] // pictures[0].shape[1]
    small = [cv2.resize(p, (width, height), interpolation=cv2.INTER_AREA) for p in pictures]
    images = [Image.fromarray(p[..., ::-1]) for p in small]
    palette = shared_palette(images[:: max(1, len(images) // 8)]).quantize(colours)
    images = [i.quantize(palette=palette, dither=Image.Dither.NONE) for i in images]
    duration = int(1000 * FRAME_DT * EVERY)
    images[0].save(path, save_all=True, append_images=images[1:], duration=duration, loop=0)
    print(f"{path}: {len(images)} pictures, {path.stat().st_size / 1e6:.1f} MB")


def main() -> None:
    """Drive, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--town", default="test01")
    parser.add_argument("--route", type=int, default=0)
    parser.add_argument("--traffic", type=int, default=30)
    parser.add_argument("--pedestrians", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--begin", type=float, default=1.2, help="simulated seconds left out")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--width", type=int, default=804)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    folder = model_path("driving-bev")
    show = Show(load_checkpoint(folder), arguments.begin, arguments.begin + arguments.seconds)
    world = World(pedestrians=arguments.pedestrians)
    task = RouteTask(
        arguments.town, arguments.route, arguments.traffic, arguments.seed, world=world
    )
    simulator = Simulator(
        arguments.town, frame_dt=FRAME_DT, camera=CameraConfig(width=384, height=216)
    )
    with contextlib.suppress(StopIteration, KeyboardInterrupt):  # enough, or Ctrl-C: what there is
        drive_route(simulator, make_driver("planner", folder), task, show.watch)
    simulator.close()
    write_gif(show.pictures, IMAGES / "imagination.gif", arguments.width)


if __name__ == "__main__":
    main()
