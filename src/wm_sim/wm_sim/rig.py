"""Sensor rigs: which sensors ride on the ego, where, and with which attributes.

The file format is ``objects.json`` of CARLA's ``carla_spawn_objects`` package, so a rig made for a
CARLA server works here and the other way round. In the file, poses are in metres and degrees in
ROS axes (x forward, y left, positive pitch is nose down); in :class:`SensorSpec` angles are rad.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wm_dynamics.errors import UserError
from wm_perception.conventions import euler_from_rotation
from wm_perception.topics import DEFAULT_ROLE
from wm_sim.sensor_spec import SensorSpec

DEFAULT_EGO = "vehicle.tesla.model3"
CAMERAS = ("sensor.camera.rgb", "sensor.camera.depth", "sensor.camera.semantic_segmentation")
LIDAR, SEMANTIC_LIDAR = "sensor.lidar.ray_cast", "sensor.lidar.ray_cast_semantic"
RADAR, IMU, GNSS = "sensor.other.radar", "sensor.other.imu", "sensor.other.gnss"
MEASURING = (*CAMERAS, LIDAR, SEMANTIC_LIDAR, RADAR, IMU, GNSS)  # what SensorSuite can read
EVENTS = ("sensor.other.collision", "sensor.other.lane_invasion")  # reported by the frame itself
# The bridge knows these too; they are accepted so that a rig file can stay as it is.
NOT_SIMULATED = ("sensor.camera.dvs", "sensor.other.rss")
PSEUDO = (
    "sensor.pseudo.traffic_lights",
    "sensor.pseudo.objects",
    "sensor.pseudo.actor_list",
    "sensor.pseudo.markers",
    "sensor.pseudo.opendrive_map",
    "sensor.pseudo.tf",
    "sensor.pseudo.odom",
    "sensor.pseudo.speedometer",
    "actor.pseudo.control",
)
KNOWN_TYPES = (*MEASURING, *EVENTS, *NOT_SIMULATED, *PSEUDO)
_OWN_KEYS = ("type", "id", "spawn_point", "attached_objects")
_POSE_KEYS = ("x", "y", "z", "roll", "pitch", "yaw")


@dataclass(frozen=True)
class PseudoSensor:
    """A pseudo sensor: a topic of the bridge that no sensor of the simulator stands behind.

    Attributes:
        id: name.
        type: such as ``sensor.pseudo.tf``.
        parent: role name or sensor id it is attached to, empty for the world.
    """

    id: str
    type: str
    parent: str = ""


@dataclass(frozen=True)
class Rig:
    """The ego and all that is mounted on it.

    Attributes:
        sensors: every sensor on the ego, nested ones included, in the order of the file.
        ego_type: vehicle blueprint.
        role: role name of the ego.
        pseudo: pseudo sensors of the world and of the ego.
    """

    sensors: tuple[SensorSpec, ...] = ()
    ego_type: str = DEFAULT_EGO
    role: str = DEFAULT_ROLE
    pseudo: tuple[PseudoSensor, ...] = ()

    def sensor(self, sensor_id: str) -> SensorSpec:
        """The sensor called ``sensor_id``.

        Raises:
            UserError: there is none.
        """
        for spec in self.sensors:
            if spec.id == sensor_id:
                return spec
        known = ", ".join(spec.id for spec in self.sensors) or "none"
        raise UserError(f"the rig has no sensor '{sensor_id}'; its sensors: {known}")


def default_rig() -> Rig:
    """CARLA's example rig, ``config/objects.json``.

    Raises:
        UserError: the file is not where the checkout or the installation has it.
    """
    checkout = Path(__file__).resolve().parents[3] / "config"
    installed = Path(sys.prefix) / "share" / "wm_planner" / "config"
    for folder in (checkout, installed):
        if (folder / "objects.json").is_file():
            return load_rig(folder / "objects.json")
    raise UserError(f"objects.json is neither in {checkout} nor {installed}; install again")


def load_rig(path: str | Path) -> Rig:
    """Read an ``objects.json``.

    Raises:
        UserError: the file is missing, is not JSON (with the line), or describes what is not
            possible: an unknown type, a missing or repeated id, no vehicle or several.
    """
    try:
        text = Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the sensor rig {path}: {error}") from None
    try:
        root = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: not JSON: {error.msg}") from None
    try:
        return parse_rig(root)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def parse_rig(root: Any) -> Rig:
    """The rig a parsed ``objects.json`` describes; see :func:`load_rig`."""
    entries = root.get("objects") if isinstance(root, dict) else None
    if not isinstance(entries, list):
        raise UserError('the file must hold {"objects": [...]}')
    vehicles: list[Any] = []
    world: list[Any] = []
    for entry in entries:
        (vehicles if _type(entry).startswith("vehicle.") else world).append(entry)
    if len(vehicles) != 1:
        raise UserError(f"exactly one vehicle must carry the sensors, not {len(vehicles)}")
    ego = vehicles[0]
    role = _id(ego)
    pseudo = []
    for entry in world:
        spec = _read_sensor(entry)
        if spec.type not in PSEUDO:
            raise UserError(
                f"'{spec.id}': a {spec.type} must be in the vehicle's \"sensors\"; sensors that "
                "stand in the world are not simulated"
            )
        pseudo.append(PseudoSensor(spec.id, spec.type))
    sensors = []
    for spec in _walk(ego.get("sensors", []), None):
        if spec.type in PSEUDO:
            pseudo.append(PseudoSensor(spec.id, spec.type, spec.parent or role))
        else:
            sensors.append(spec)
    rig = Rig(tuple(sensors), ego["type"], role, tuple(pseudo))
    _refuse_duplicates(rig)
    return rig


def _walk(entries: Any, parent: SensorSpec | None) -> Iterator[SensorSpec]:
    """The sensors of a list and those attached to them, poses in the ego's frame."""
    if not isinstance(entries, list):
        raise UserError('"sensors" and "attached_objects" must be lists')
    for entry in entries:
        spec = _read_sensor(entry)
        if parent is not None:
            spec = _mounted(spec, parent)
        yield spec
        yield from _walk(entry.get("attached_objects", []), spec)


def _mounted(spec: SensorSpec, parent: SensorSpec) -> SensorSpec:
    """``spec``, whose pose is given in its parent's frame, in the ego's frame."""
    x, y, z = (parent.position + parent.rotation @ spec.position).tolist()
    roll, pitch, yaw = euler_from_rotation(parent.rotation @ spec.rotation)
    return SensorSpec(
        spec.id, spec.type, x, y, z, roll, pitch, yaw, spec.attributes, parent=parent.id
    )


def _read_sensor(entry: Any) -> SensorSpec:
    kind, name = _type(entry), _id(entry)
    if kind not in KNOWN_TYPES:
        raise UserError(f"'{name}': unknown type '{kind}'; known types: {', '.join(KNOWN_TYPES)}")
    pose = entry.get("spawn_point", {})
    if not isinstance(pose, dict) or set(pose) - set(_POSE_KEYS):
        raise UserError(f"'{name}': spawn_point may have {', '.join(_POSE_KEYS)}, not {pose}")
    try:
        values = [float(pose.get(key, 0.0)) for key in _POSE_KEYS]
    except (TypeError, ValueError):
        values = [math.nan]
    if not all(map(math.isfinite, values)):
        raise UserError(f"'{name}': spawn_point must hold numbers, not {pose}")
    attributes = {key: str(value) for key, value in entry.items() if key not in _OWN_KEYS}
    x, y, z = values[:3]
    roll, pitch, yaw = map(math.radians, values[3:])
    return SensorSpec(name, kind, x, y, z, roll, pitch, yaw, attributes)


def _type(entry: Any) -> str:
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
        raise UserError(f'every object needs a "type": {json.dumps(entry)[:80]}')
    return entry["type"]


def _id(entry: dict) -> str:
    name = entry.get("id")
    if not isinstance(name, str) or not name:
        raise UserError(f'every object needs an "id": {json.dumps(entry)[:80]}')
    return name


def _refuse_duplicates(rig: Rig) -> None:
    """Two sensors of one name would share a topic; so would twins among the pseudo sensors."""
    names = [(spec.id,) for spec in rig.sensors]
    keys = [*names, *((p.parent, p.type, p.id) for p in rig.pseudo)]
    for key in keys:
        if keys.count(key) > 1:
            raise UserError(f"the id '{key[-1]}' is used twice; ids must differ")
