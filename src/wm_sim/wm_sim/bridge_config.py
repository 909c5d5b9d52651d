"""Parameters of the embedded bridge."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from wm_sim.world import World


class BridgeConfig(BaseModel):
    """Parameters of ``bridge_node``; unknown ones are errors.

    Attributes:
        town: name of a shipped or added town.
        suite, route, seed, traffic: which episode to start with.
        trucks, cyclists, pedestrians, parked: of that episode, besides the cars.
        weather: preset of that episode.
        scenario: staged on the route of that episode, empty for none.
        role_name: role name of the ego vehicle, part of every topic name.
        synchronous: lockstep: after each frame wait for one command, at most ``command_wait_s``.
            Otherwise frames are paced in real time.
        command_wait_s: wall time, as carla-ros-bridge.
        realtime_factor: simulated seconds per wall second when not synchronous.
        frame_dt: simulated seconds per frame.
        sensors: ``front``: the front camera alone; ``front_lidar``; ``full``: CARLA's example rig
            (``config/objects.json``); otherwise the path of such a file. Everything but cameras
            and other sensors on the ego (odometry, collision ...) is there with ``front`` too;
            a file has only what it lists.
        camera: publish cameras (needs EGL); false leaves those of the rig out.
        camera_width, camera_height: pixels of the front camera of ``front``.
        interface: whose topics these are: ``bridge`` for carla-ros-bridge's, ``native`` for the few
            of CARLA's own ROS 2 interface.
        faults: what to do wrong on purpose, e.g. ``odometry:delay:3`` (``docs/faults.md``).
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
    trucks: int = Field(0, ge=0)
    cyclists: int = Field(0, ge=0)
    pedestrians: int = Field(0, ge=0)
    parked: int = Field(0, ge=0)
    weather: str = "day"
    scenario: str = ""
    role_name: str = Field("ego_vehicle", min_length=1)
    synchronous: bool = True
    command_wait_s: float = Field(1.0, gt=0)
    realtime_factor: float = Field(1.0, gt=0)
    frame_dt: float = Field(0.1, gt=0)
    sensors: str = Field("front", min_length=1)
    camera: bool = True
    camera_width: int = Field(256, gt=0)
    camera_height: int = Field(144, gt=0)
    interface: Literal["bridge", "native"] = "bridge"
    faults: tuple[str, ...] = ()
    wait_for_start: bool = False
    watchdog_s: float = Field(0.5, ge=0)

    @field_validator("faults", mode="before")
    @classmethod
    def _one_fault(cls, value: Any) -> Any:
        """A single text is a list of one."""
        return (value,) if isinstance(value, str) else value

    @property
    def world(self) -> World:
        """What the first episode holds besides the ego and the cars.

        Raises:
            UserError: there is no such weather.
        """
        return World.like(self)
