"""Who can drive: one table of drivers behind one protocol."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from wm_dynamics.errors import UserError
from wm_perception.frame import Command, SceneFrame
from wm_perception.scene import Scene
from wm_perception.sight import View
from wm_planner.guard import Guard
from wm_planner.paths import DEFAULT_MODEL, model_path
from wm_planner.planner_config import PlannerConfig
from wm_training.floors import ConstantDriver, RandomDriver

if TYPE_CHECKING:
    from wm_planner.driver import PlannerDriver
    from wm_sim.camera import CameraConfig
    from wm_training.pilotnet import Inputs
    from wm_training.pilotnet_driver import PilotNetDriver

# Driver -> the shipped model it takes unless another is named; None for one that needs none.
DEFAULT_MODELS: dict[str, str | None] = {
    "planner": DEFAULT_MODEL,
    "actor": DEFAULT_MODEL,
    "blind": DEFAULT_MODEL,
    "untrained": DEFAULT_MODEL,
    "expert": None,
    "pilotnet": "pilotnet",
    "pilotnet-image": "pilotnet-image",
    "constant": None,
    "random": None,
}
DRIVERS = tuple(DEFAULT_MODELS)
PILOTNETS: dict[str, Inputs] = {"pilotnet": "image+speed", "pilotnet-image": "image"}


class Driver(Protocol):
    """Anything that drives."""

    def reset(self, scene: Scene, seed: int = 0) -> None:
        """Begin a route."""

    def drive(self, frame: SceneFrame) -> Command:
        """The command for this frame."""
        ...


FLOORS: dict[str, Callable[[Guard], Driver]] = {"constant": ConstantDriver, "random": RandomDriver}


def check_driver(name: str) -> None:
    """Refuse a driver that does not exist.

    Raises:
        UserError: naming those that do.
    """
    if name not in DRIVERS:
        raise UserError(f"unknown driver '{name}'; known drivers: {', '.join(DRIVERS)}")


def driver_model(name: str, model: str | Path | None = None) -> Path | None:
    """Directory of the model that a driver drives by, None for a driver that needs none.

    Args:
        name: of the driver.
        model: directory or name of a shipped model; None takes the driver's own.

    Raises:
        UserError: unknown driver, or there is no such model.
    """
    check_driver(name)
    chosen = model or DEFAULT_MODELS[name]
    if DEFAULT_MODELS[name] is None or chosen is None:
        return None
    try:
        return model_path(chosen)
    except UserError as error:
        maker = "wm train pilotnet" if name in PILOTNETS else "wm train"
        raise UserError(f"{error}; `{maker}` makes one, and --model takes it") from None


def make_driver(
    name: str,
    model: Path | None,
    config: PlannerConfig | None = None,
    view: View = "full",
    guarded: bool = True,
) -> Driver:
    """The driver called ``name``.

    Args:
        name: one of ``DRIVERS``.
        model: its model's directory, see :func:`driver_model`.
        config: of the planner; its ``frame_dt`` counts for all.
        view: what of the objects around the driver and its gate are shown, see
            :mod:`wm_perception.sight`; the gate of "constant" and "random" is shown all.
        guarded: False leaves the gate out. The expert never has one.

    Raises:
        UserError: unknown driver, it cannot drive with such a view, or its model is not given or
            cannot be loaded.
    """
    check_driver(name)
    config = config or PlannerConfig()
    if name == "expert":
        if view != "full":
            raise UserError("the expert drives by rules that know everything; leave out --view")
        from wm_sim.expert import Expert

        return Expert()
    if name in FLOORS:
        return FLOORS[name](Guard(active=guarded))
    if model is None:
        raise UserError(f"driver '{name}' needs a model")
    if name in PILOTNETS:
        return _pilotnet(name, model, config, view, Guard(active=guarded))
    return _planner(name, model, config, view, guarded)


def _planner(
    name: str, path: Path, config: PlannerConfig, view: View, guarded: bool
) -> PlannerDriver:
    """A driver with a world model."""
    from wm_dynamics.weights import read_weights
    from wm_perception.camera_stream import camera_stream
    from wm_planner.driver import PlannerDriver, make_backend, make_planner

    world = read_weights(path)
    camera = None if name == "blind" else camera_stream(world.config)
    backend = make_backend(name, world, config, folder=path)
    if backend.notice:
        logging.getLogger(__name__).warning(backend.notice)
    planner = make_planner(name, backend, path, config)
    return PlannerDriver(
        backend, config, camera=camera, planner=planner, view=view, guarded=guarded
    )


def _pilotnet(
    name: str, path: Path, config: PlannerConfig, view: View, guard: Guard
) -> PilotNetDriver:
    """A driver that clones behaviour."""
    from wm_training.pilotnet import load_pilotnet
    from wm_training.pilotnet_driver import PilotNetDriver

    network = load_pilotnet(path)
    if network.config.inputs != PILOTNETS[name]:
        raise UserError(
            f"driver '{name}' needs a PilotNet of {PILOTNETS[name]}; the one in {path} has inputs "
            f"{network.config.inputs}"
        )
    return PilotNetDriver(network, config.frame_dt, guard, view)


def simulator_camera(driver: Driver | None) -> CameraConfig | None:
    """The camera that a simulator must render for a driver; None for one that looks at none."""
    if getattr(driver, "camera", None) is None:
        return None
    from wm_sim.camera import CameraConfig

    return CameraConfig()
