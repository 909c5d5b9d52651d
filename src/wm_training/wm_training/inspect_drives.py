"""Held-out driving that `wm inspect` records itself, kept by content: usual and disturbed.

``standard_store`` is driving as it comes, with people, cyclists and lorries about. The sets of
``unusual_stores`` are the same few drives again and again: as they were, with one fault each in
what was observed, and driven anew in another weather or through a repainted town.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from wm_perception.camera_stream import FRONT
from wm_perception.frame import SceneFrame
from wm_perception.scene import Scene
from wm_training.collect import MIXES, CollectJob, collect_town, episode_arrays
from wm_training.disturbances import ODOMETRY, SURROUNDINGS, FrameChange
from wm_training.labels import Labeller
from wm_training.perturbed import HABITS, PerturbedDriver
from wm_training.store import StoreWriter
from wm_training.store_columns import COLUMNS, camera_columns
from wm_training.weather_split import COLLECTED, HELD_OUT

TOWNS = ("val01", "val02")  # to tune on; test01 and test02 are for final figures
VERSION = 2  # of what is recorded; another one is recorded anew
MIX, SEED = "mixed", 2_000  # not a seed that training collections use
STANDARD_FRAMES = 6_000  # per town
DRIVES, DRIVE_FRAMES = 10, 200  # per town, for the disturbed sets
SITUATIONS = 40  # per town, for the branches
NORMAL = "normal"
DRY = "day"
SLIPPERY = "rain"  # to a model without a camera, weather is grip
LOOKS = ("desert", "snow")  # towns in colours that none has


@dataclass(frozen=True)
class Setting:
    """How a set of drives is driven.

    Attributes:
        weathers: one of them per drive.
        paint: of the town, see :mod:`wm_sim.camera_paint`.
    """

    weathers: tuple[str, ...] = (DRY,)
    paint: str = ""


@dataclass(frozen=True)
class Drive:
    """One drive: where, and what its frames said."""

    scene: Scene
    frames: list[SceneFrame]
    info: dict


def standard_store(town: str, camera: bool, root: Path) -> Path:
    """The store of usual driving in one town, recorded where it is missing."""

    def record(out: Path) -> None:
        job = CollectJob(town, STANDARD_FRAMES, SEED, out, MIX, camera=camera)
        collect_town(job)

    return _kept(root, town, {"frames": STANDARD_FRAMES, "camera": camera}, record)


def unusual_stores(town: str, camera: bool, root: Path) -> dict[str, Path]:
    """Stores of the same drives in one town by what is odd in them; ``NORMAL`` is nothing.

    All but the driven ones, "weather_..." and "town_...", have the same episodes frame by frame.

    Args:
        town: where.
        camera: for a model that sees through a camera, and no masks.
        root: folder of what is kept.
    """
    faults = ODOMETRY if camera else ODOMETRY | SURROUNDINGS
    settings = (
        {f"weather_{name}": Setting((name,)) for name in HELD_OUT}
        | {f"town_{name}": Setting(COLLECTED, name) for name in LOOKS}
        if camera
        else {"weather_grip": Setting((SLIPPERY,))}
    )

    def record(out: Path) -> None:
        usual = drives(town, Setting(COLLECTED if camera else (DRY,)), camera)
        for name, change in {NORMAL: None, **faults}.items():
            write_drives(usual, change, out / name, camera)
        for name, setting in settings.items():
            write_drives(drives(town, setting, camera), None, out / name, camera)

    facts = {"drives": DRIVES, "frames": DRIVE_FRAMES, "sets": sorted({*faults, *settings})}
    folder = _kept(root, f"unusual-{town}", {**facts, "camera": camera}, record)
    return {name: folder / name for name in (NORMAL, *faults, *settings)}


def _kept(root: Path, name: str, facts: dict, record: Callable[[Path], None]) -> Path:
    """A folder named after what makes its content; ``record`` fills it if there is none yet."""
    text = json.dumps({"version": VERSION, "mix": MIX, "seed": SEED, **facts}, sort_keys=True)
    folder = root / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    if not folder.exists():
        draft = root / f".{folder.name}.{os.getpid()}"
        try:
            record(draft)
            os.replace(draft, folder)
        except OSError:
            if not folder.exists():  # else another process was faster
                raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return folder


def drives(town: str, setting: Setting, camera: bool) -> list[Drive]:
    """Drive ``DRIVES`` routes; the same routes, traffic and drivers in every setting."""
    from wm_sim.camera import CameraConfig
    from wm_sim.routes import load_router
    from wm_sim.simulator import Simulator

    mix = MIXES[MIX]
    names, shares = list(mix.shares), np.array(list(mix.shares.values()))
    rng = np.random.default_rng([SEED, *map(ord, town)])
    rendered = CameraConfig(paint=setting.paint) if camera else None
    driven = []
    router = load_router(town)
    with Simulator(town, camera=rendered) as simulator:
        for number in range(DRIVES):
            seed, traffic = int(rng.integers(1 << 30)), int(rng.choice(mix.traffic))
            weather = setting.weathers[number % len(setting.weathers)]
            world = replace(mix.world(rng, traffic), weather=weather)
            route, habit = router.random_route(rng), str(rng.choice(names, p=shares / shares.sum()))
            scene = simulator.start(route, seed=seed, traffic=traffic, world=world)
            driver = PerturbedDriver(HABITS[habit], np.random.default_rng(seed))
            driver.reset(scene, seed=seed)
            frames = [_fitted(simulator.frame())]
            while len(frames) < DRIVE_FRAMES and not frames[-1].collided:
                frames.append(_fitted(simulator.step(driver.drive(frames[-1]))))
            info = {"town": town, "drive": number, "weather": weather, "paint": setting.paint}
            driven.append(Drive(scene, frames, info))
    return driven


def _fitted(frame: SceneFrame) -> SceneFrame:
    """A frame whose picture has the size that models read, to keep many of them."""
    return frame if frame.image is None else replace(frame, image=FRONT.fit(frame.image))


def write_drives(driven: list[Drive], change: FrameChange | None, out: Path, camera: bool) -> None:
    """A training store of drives, their frames changed before they are observed."""
    stream = FRONT if camera else None
    columns = (*COLUMNS, *camera_columns([FRONT.camera] if camera else []))
    with StoreWriter(out, columns=columns) as writer:
        for number, drive in enumerate(driven):
            frames = drive.frames
            if change is not None:
                frames = change(frames, np.random.default_rng([SEED, number]))
            labeller = Labeller(drive.scene, camera=stream)
            arrays = episode_arrays([labeller.label(frame) for frame in frames])
            writer.append_episode(arrays, drive.info)


def counterfactual_store(town: str, camera: bool, root: Path) -> Path:
    """The store of situations driven on in several ways, recorded where it is missing."""
    from wm_training.counterfactual import collect as collect_branches
    from wm_training.counterfactual_job import CounterfactualJob

    def record(out: Path) -> None:
        # In a process of its own: this one may have drawn pictures, and then cannot fork.
        collect_branches([CounterfactualJob(town, SITUATIONS, SEED, out, camera=camera)], 1)

    facts = {"situations": SITUATIONS, "camera": camera}
    return _kept(root, f"branches-{town}", facts, record)
