"""Parameters of the embedded bridge."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class BridgeConfig(BaseModel):
    """Parameters of ``bridge_node``; unknown ones are errors.

    Attributes:
        town: name of a shipped or added town.
        suite, route, seed, traffic: which episode to start with.
        role_name: role name of the ego vehicle, part of every topic name.
        synchronous: lockstep: after each frame wait for one command, at most ``command_wait_s``.
            Otherwise frames are paced in real time.
        command_wait_s: wall time, as carla-ros-bridge.
        realtime_factor: simulated seconds per wall second when not synchronous.
        frame_dt: simulated seconds per frame.
        camera: publish the front camera (needs EGL).
        camera_width, camera_height: pixels.
        wait_for_start: stay paused until ``/wm_sim/start_route`` is called.
        watchdog_s: simulated seconds without a command after which the bridge brakes fully. CARLA
            has no such thing and holds the last command for ever; 0 does the same here.
    """

    model_config = ConfigDict(extra="forbid")

    town: str = "test01"
    suite: str = "default"
    route: int = Field(0, ge=0)
    seed: int = Field(0, ge=0)
    traffic: int = Field(0, ge=0)
    role_name: str = Field("ego_vehicle", min_length=1)
    synchronous: bool = True
    command_wait_s: float = Field(1.0, gt=0)
    realtime_factor: float = Field(1.0, gt=0)
    frame_dt: float = Field(0.1, gt=0)
    camera: bool = True
    camera_width: int = Field(256, gt=0)
    camera_height: int = Field(144, gt=0)
    wait_for_start: bool = False
    watchdog_s: float = Field(0.5, ge=0)
