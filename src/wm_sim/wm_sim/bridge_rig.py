"""The rig that the bridge's parameters ask for."""

from __future__ import annotations

from dataclasses import replace

from wm_perception.topics import CAMERA
from wm_sim.bridge_config import BridgeConfig
from wm_sim.bridge_pseudo import USUAL_ID
from wm_sim.bridge_sensors import simulated
from wm_sim.rig import EVENTS, MEASURING, PseudoSensor, Rig, SensorSpec, default_rig, load_rig

FRONT, FRONT_LIDAR, FULL = "front", "front_lidar", "full"
# Where the stack's own front camera is, and how many samples its pixels have.
FRONT_X_M, FRONT_Z_M, FRONT_PITCH_RAD, FRONT_FOV_DEG, FRONT_SAMPLES = 1.2, 1.8, 0.07, 90.0, 4
_OF_THE_EGO = (
    "sensor.pseudo.tf",
    "sensor.pseudo.objects",
    "sensor.pseudo.odom",
    "sensor.pseudo.speedometer",
    "actor.pseudo.control",
)
_OF_THE_WORLD = (
    "sensor.pseudo.traffic_lights",
    "sensor.pseudo.objects",
    "sensor.pseudo.actor_list",
    "sensor.pseudo.markers",
    "sensor.pseudo.opendrive_map",
)


def bridge_rig(config: BridgeConfig) -> Rig:
    """The rig that the parameters ask for.

    Raises:
        UserError: there is no such file, or it is not a rig.
    """
    if config.sensors in (FRONT, FRONT_LIDAR):
        rig = _front_rig(config)
        if config.sensors == FRONT_LIDAR:  # the camera as it is, and the lidar of CARLA's example
            rig = replace(rig, sensors=(*rig.sensors, default_rig().sensor("lidar")))
    else:
        rig = default_rig() if config.sensors == FULL else load_rig(config.sensors)
    sensors = tuple(s for s in rig.sensors if config.camera or ".camera." not in s.type)
    return replace(rig, sensors=sensors, role=config.role_name)


def _front_rig(config: BridgeConfig) -> Rig:
    camera = SensorSpec(
        CAMERA,
        "sensor.camera.rgb",
        FRONT_X_M,
        0.0,
        FRONT_Z_M,
        pitch=FRONT_PITCH_RAD,
        attributes={
            "image_size_x": str(config.camera_width),
            "image_size_y": str(config.camera_height),
            "fov": str(FRONT_FOV_DEG),
            "samples": str(FRONT_SAMPLES),
        },
    )
    events = (SensorSpec(USUAL_ID[kind], kind) for kind in EVENTS)
    role = config.role_name
    pseudo = [PseudoSensor(USUAL_ID[kind], kind) for kind in _OF_THE_WORLD]
    pseudo += [PseudoSensor(USUAL_ID[kind], kind, role) for kind in _OF_THE_EGO]
    return Rig((camera, *events), role=role, pseudo=tuple(pseudo))


def simulated_rig(rig: Rig) -> Rig:
    """What the simulator must have: an event camera is computed here, from pictures."""
    sensors = (simulated(spec) for spec in rig.sensors)
    return replace(rig, sensors=tuple(spec for spec in sensors if spec.type in MEASURING))
