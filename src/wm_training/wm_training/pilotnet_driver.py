"""PilotNet at the wheel."""

from __future__ import annotations

import torch

from wm_perception.camera_stream import FRONT, CameraStream
from wm_perception.frame import Command, SceneFrame
from wm_perception.observation import Observation, Observer
from wm_perception.scene import Scene
from wm_perception.sight import View
from wm_planner.guard import Guard
from wm_training.pilotnet import PilotNet


class PilotNetDriver:
    """Looks at the front picture and the route, and does what the network says, frame by frame.

    Args:
        network: who decides.
        frame_dt: s between frames.
        guard: the gate that every command passes.
        view: what of the objects around the gate is told, see :mod:`wm_perception.sight`.

    Attributes:
        camera: what it sees of a frame's picture.
        observation: the last one, None before the first frame.
    """

    def __init__(self, network: PilotNet, frame_dt: float, guard: Guard, view: View = "full"):
        self._network, self._dt, self._guard = network, frame_dt, guard
        self._view: View = view
        self.camera = CameraStream(FRONT.name, network.config.height, network.config.width)
        self.observation: Observation | None = None

    def reset(self, scene: Scene, seed: int = 0) -> None:
        """Begin a route. The network draws nothing; ``seed`` is there for the driver protocol."""
        self._observer = Observer(scene, self._dt, self.camera, self._view)
        self._guard.reset(scene.route.points)
        self.observation = None

    def drive(self, frame: SceneFrame) -> Command:
        """The command for this frame, as the gate lets it through. Without a picture it has none.

        The gate is told so then, and stops the vehicle if that goes on.
        """
        frame = self._observer.seen(frame)
        self.observation = seen = self._observer.observe(frame)
        picture = seen.sensors.get(self.camera.name)
        wish = None
        if picture is not None:
            with torch.no_grad():
                steer, accel = self._network(
                    torch.from_numpy(picture.copy())[None],
                    torch.from_numpy(seen.route)[None],
                    torch.from_numpy(seen.state[None, :1].copy()),
                )[0].tolist()
            wish = Command(steer, accel)
        return self._guard.command(frame, wish)
