"""Who can drive: one table of drivers behind one protocol."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from wm_dynamics.errors import UserError
from wm_perception.frame import Command, SceneFrame
from wm_perception.scene import Scene
from wm_planner.planner_config import PlannerConfig

if TYPE_CHECKING:
    from wm_sim.camera import CameraConfig

DRIVERS = ("planner", "actor", "blind", "untrained", "expert")


class Driver(Protocol):
    """Anything that drives."""

    def reset(self, scene: Scene, seed: int = 0) -> None:
        """Begin a route."""

    def drive(self, frame: SceneFrame) -> Command:
        """The command for this frame."""
        ...


def make_driver(name: str, model_path: Path | None, config: PlannerConfig | None = None) -> Driver:
    """The driver called ``name``; the expert needs no model.

    Raises:
        UserError: unknown driver, or its model is not given or cannot be loaded.
    """
    if name not in DRIVERS:
        raise UserError(f"unknown driver '{name}'; known drivers: {', '.join(DRIVERS)}")
    if name == "expert":
        from wm_sim.expert import Expert

        return Expert()
    if model_path is None:
        raise UserError(f"driver '{name}' needs a model")
    from wm_dynamics.checkpoint import load_checkpoint
    from wm_perception.camera_stream import camera_stream
    from wm_planner.driver import PlannerDriver, make_backend, make_planner

    model = load_checkpoint(model_path)
    camera = None if name == "blind" else camera_stream(model.config)
    backend, config = make_backend(name, model), config or PlannerConfig()
    planner = make_planner(name, backend, model_path, config)
    return PlannerDriver(backend, config, camera=camera, planner=planner)


def simulator_camera(driver: Driver | None) -> CameraConfig | None:
    """The camera that a simulator must render for a driver; None for one that looks at none."""
    if getattr(driver, "camera", None) is None:
        return None
    from wm_sim.camera import CameraConfig

    return CameraConfig()
