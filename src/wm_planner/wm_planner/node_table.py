"""The one table of nodes: who runs for which source and driver, with which parameters.

Read by ``launch/carla_drive.launch.py`` (launch_ros) and by :mod:`wm_planner.launcher` (plain
processes, for machines without a ROS installation). There is no second list.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wm_dynamics.errors import UserError
from wm_perception.topics import topic
from wm_planner.paths import DEFAULT_MODEL, model_path, shared_dir
from wm_planner.rviz_layout import layout_for

AUTOSTART = "autostart"  # parameter of lifecycle nodes, see wm_perception/lifecycle.py
NATIVE_NOTE = (
    "source carla_native: CARLA's own ROS 2 interface (0.9.15, 0.9.16) publishes no odometry, "
    "speedometer, vehicle status, objects, traffic lights or map. Something beside it must publish "
    "{topics} with carla-ros-bridge's types (other names: remap); until then nothing drives. "
    "carla-ros-bridge (source carla_bridge) has all of them."
)
NATIVE_LACKS = (
    "odometry",
    "speedometer",
    "vehicle_status",
    "objects",
    "traffic_lights_status",
    "traffic_lights_info",
    "waypoints",
    "map",
)


class DriveOptions(BaseModel):
    """What a drive is made of. The fields are the launch file's arguments."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    source: Literal["embedded", "carla_bridge", "carla_native"] = Field(
        "embedded", description="who publishes the vehicle's topics"
    )
    driver: Literal["planner", "actor", "blind", "untrained", "expert"] = Field(
        "planner", description="who drives"
    )
    model: str = Field(DEFAULT_MODEL, description="model directory, or name of a shipped model")
    role_name: str = Field("ego_vehicle", min_length=1, description="role name of the ego vehicle")
    town: str = Field("test01", description="town (embedded source)")
    suite: str = Field("default", description="list of routes (embedded source)")
    route: int = Field(0, ge=0, description="index in that list (embedded source)")
    seed: int = Field(0, ge=0, description="of traffic (embedded source) and planner")
    traffic: int = Field(0, ge=0, description="number of other cars (embedded source)")
    trucks: int = Field(0, ge=0, description="lorries and vans besides (embedded source)")
    cyclists: int = Field(0, ge=0, description="on the road (embedded source)")
    pedestrians: int = Field(0, ge=0, description="on pavements, crossings (embedded source)")
    parked: int = Field(0, ge=0, description="cars parked at the kerb (embedded source)")
    weather: str = Field("day", description="preset of the weather (embedded source)")
    scenario: str = Field("", description="staged on the route, empty: none (embedded source)")
    sensors: str = Field(
        "front",
        description="front camera, front_lidar, full rig, or an objects.json (embedded source); "
        "with rviz, front becomes front_lidar",
    )
    synchronous: bool = Field(True, description="lockstep; false: real time (embedded source)")
    camera: bool = Field(True, description="publish the front camera (embedded source)")
    faults: str = Field(
        "", description="FAULT[,FAULT...] injected into topics, docs/faults.md (embedded source)"
    )
    wait_for_start: bool = Field(
        False, description="stay paused until /wm_sim/start_route is called (embedded source)"
    )
    record: str = Field("", description="record a bag into this new directory")
    record_images: bool = Field(False, description="record the front camera too")
    pictures: bool = Field(
        True, description="nodes that draw what is believed; idle until somebody watches"
    )
    view: bool = Field(False, description="serve the live view in the browser, docs/view.md")
    view_port: int = Field(8765, ge=0, le=65535, description="port of the live view")
    rviz: bool = Field(False, description="start rviz2 with config/carla_drive.rviz")
    remap: str = Field(
        "", description="FROM:=TO[,FROM:=TO...] for every node, for sources with other names"
    )
    config_dir: str = Field("", description="folder of other parameter files than the shipped ones")

    @property
    def config_folder(self) -> Path:
        """Where the parameter files are."""
        return Path(self.config_dir) if self.config_dir else shared_dir("config")


def drive_options(values: Mapping[str, Any]) -> DriveOptions:
    """Validated options; texts such as ``"true"`` and ``"3"`` are understood.

    Raises:
        UserError: an unknown option or a bad value.
    """
    try:
        return DriveOptions.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        known = ", ".join(DriveOptions.model_fields)
        raise UserError(f"option {name!r}: {first['msg']} (options: {known})") from None


@dataclass(frozen=True)
class NodeSpec:
    """One node.

    Attributes:
        key: short name, for logs and messages.
        package, executable: as ``ros2 run`` finds it.
        module: what ``python -m`` runs; empty for a program that is not ours.
        name: ROS node name.
        config: parameter file, or None.
        parameters: set per drive, on top of the file.
        remaps: (from, to) topic names.
        arguments: of a program that is not ours.
        publishes: keys of topics (``wm_perception.topics``) that it publishes once it is ready.
        subscribes: keys of topics that it subscribes to once it is ready.
        essential: the drive ends when it ends.
        conducts: it takes others down before it ends, so it is asked to end before them.
    """

    key: str
    package: str
    executable: str
    module: str = ""
    name: str = ""
    config: Path | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    remaps: tuple[tuple[str, str], ...] = ()
    arguments: tuple[str, ...] = ()
    publishes: tuple[str, ...] = ()
    subscribes: tuple[str, ...] = ()
    essential: bool = True
    conducts: bool = False


def node_table(options: DriveOptions, model_dir: Path | None = None) -> tuple[NodeSpec, ...]:
    """The nodes of a drive, in the order in which they are started.

    Args:
        options: what to drive.
        model_dir: from :func:`resolve_model`; None for the expert.

    Raises:
        UserError: a malformed remap, or a driver that needs a model has none.
    """
    role = {"role_name": options.role_name}
    remaps = parse_remaps(options.remap)
    specs = [_bridge(options)] if options.source == "embedded" else []
    if options.driver == "expert":
        specs.append(_node("expert", "wm_sim", None, role, ("vehicle_control_cmd",), ("odometry",)))
    else:
        if model_dir is None:
            raise UserError(f"driver '{options.driver}' needs a model")
        specs += _planning_nodes(options, role, model_dir)
        if options.pictures:
            specs += _drawing_nodes(options, role, model_dir)
    if options.record:
        parameters = {**role, "output": options.record, "images": options.record_images}
        specs.append(_node("recorder", "wm_training", None, parameters, (), ("odometry",)))
    if options.view:
        # Whoever drives several routes begins them himself, and scores them.
        controls = "time" if options.wait_for_start else "all"
        parameters = {**role, "port": options.view_port, "controls": controls}
        view = _node("view", "wm_training", None, parameters, (), ())
        specs.append(replace(view, essential=False))
    specs = [replace(spec, remaps=remaps) for spec in specs]
    if options.rviz:
        specs.append(_rviz(options))
    return tuple(specs)


def _planning_nodes(options: DriveOptions, role: dict, model_dir: Path) -> list[NodeSpec]:
    """Lifecycle nodes, in the order in which the manager activates them, and the manager."""
    folder = options.config_folder
    model = {**role, "model": str(model_dir)}
    planner = {**model, "driver": options.driver, "seed": options.seed}
    perception = {**model, "check_image": options.camera}
    if options.source == "carla_native":
        perception["require_lights"] = False
    managed = [
        _node("perception", "wm_perception", folder, perception, ("latent",), ("odometry",)),
        _node("planner", "wm_planner", folder, planner, ("control_proposal",), ("latent",)),
        _node("gate", "wm_planner", folder, role, ("vehicle_control_cmd",), ("odometry",)),
    ]
    nodes = {**role, "nodes": [spec.name for spec in managed]}
    manager = _node("manager", "wm_planner", None, nodes, (), ())
    return [*managed, replace(manager, conducts=True)]


def _drawing_nodes(options: DriveOptions, role: dict, model_dir: Path) -> list[NodeSpec]:
    """Lifecycle nodes that bring themselves up: no drive waits for who only watches."""
    folder = options.config_folder
    overlay = {**role, AUTOSTART: True}
    imagination = {**overlay, "model": str(model_dir)}
    return [
        replace(_node("overlay", "wm_planner", folder, overlay, (), ()), essential=False),
        replace(_node("imagination", "wm_planner", folder, imagination, (), ()), essential=False),
    ]


def _bridge(options: DriveOptions) -> NodeSpec:
    world = ("trucks", "cyclists", "pedestrians", "parked", "weather", "scenario")
    episode = ("town", "suite", "route", "seed", "traffic", *world)
    chosen = (*episode, "role_name", "synchronous", "sensors", "camera", "faults", "wait_for_start")
    parameters = {name: getattr(options, name) for name in chosen}
    if options.rviz and options.sensors == "front":
        parameters["sensors"] = "front_lidar"  # the layout shows a lidar, too
    # The name that carla-ros-bridge has, because a node must not be able to tell.
    return _node(
        "bridge",
        "wm_sim",
        options.config_folder,
        parameters,
        ("odometry", "status"),
        ("vehicle_control_cmd",),
        name="carla_ros_bridge",
    )


def _node(
    key: str,
    package: str,
    folder: Path | None,
    parameters: dict[str, Any],
    publishes: tuple[str, ...],
    subscribes: tuple[str, ...],
    name: str = "",
) -> NodeSpec:
    return NodeSpec(
        key=key,
        package=package,
        executable=f"{key}_node",
        module=f"{package}.{key}_node",
        name=name or f"wm_{key}",
        config=folder / f"{key}.yaml" if folder else None,
        parameters=parameters,
        publishes=publishes,
        subscribes=subscribes,
    )


def _rviz(options: DriveOptions) -> NodeSpec:
    layout = layout_for(options.role_name, options.config_folder / "carla_drive.rviz")
    return NodeSpec(
        key="rviz",
        package="rviz2",
        executable="rviz2",
        name="rviz2",
        # Stamps and lifetimes are of the simulation: a drive that is slower is drawn slower.
        arguments=("-d", str(layout), "--ros-args", "-p", "use_sim_time:=true"),
        essential=False,
    )


def parse_remaps(text: str) -> tuple[tuple[str, str], ...]:
    """``"/a:=/b,/c:=/d"`` -> pairs.

    Raises:
        UserError: a part is not ``FROM:=TO``.
    """
    pairs = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        before, separator, after = part.partition(":=")
        if not (separator and before and after):
            raise UserError(f"remap {part!r} is not of the form FROM:=TO")
        pairs.append((before, after))
    return tuple(pairs)


def resolve_model(options: DriveOptions, work_dir: Path) -> Path | None:
    """The model directory that all nodes of the drive load, or None for the expert.

    For the untrained driver, random weights of the model's shape are written into ``work_dir``, so
    that perception and planner load the same ones.

    Raises:
        UserError: there is no such model, or it drives by a camera that is switched off.
    """
    if options.driver == "expert":
        return None
    path = model_path(options.model)
    if options.source == "embedded" and not options.camera:
        _refuse_camera_model(path)
    if options.driver != "untrained":
        return path
    from wm_dynamics.checkpoint import load_checkpoint, save_checkpoint
    from wm_dynamics.model import WorldModel

    target = work_dir / "untrained_model"
    save_checkpoint(WorldModel.untrained(load_checkpoint(path).config, seed=0), target)
    return target


def _refuse_camera_model(path: Path) -> None:
    from wm_dynamics.artefact_files import CONFIG, read_yaml
    from wm_dynamics.config import ModelConfig

    if cameras := read_yaml(path / CONFIG, ModelConfig).cameras:
        raise UserError(
            f"the model {path} drives by {', '.join(cameras)}: leave the camera on (drop "
            "--no-camera, or camera:=false)"
        )


def notes(options: DriveOptions) -> list[str]:
    """What the person who starts the drive should know beforehand."""
    found = []
    if options.source == "carla_native":
        topics = ", ".join(topic(key).name(options.role_name) for key in NATIVE_LACKS)
        found.append(NATIVE_NOTE.format(topics=topics))
    if options.source != "embedded" and options.wait_for_start:
        found.append("wait_for_start has no effect: only the embedded source can be started")
    if options.source != "embedded" and options.faults:
        found.append("faults have no effect: only the embedded source injects them")
    if options.source == "carla_native" and options.role_name == "ego_vehicle":
        found.append("CARLA's native interface usually calls the vehicle 'hero': role_name:=hero")
    if options.rviz and not shutil.which("rviz2"):
        found.append("rviz2 is not installed here: nothing will show config/carla_drive.rviz")
    return found
