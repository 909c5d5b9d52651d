"""Inertial measurement unit on the ego."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wm_perception.conventions import euler_from_rotation, quaternion_from_euler
from wm_sim.lidar_world import sensor_pose
from wm_sim.sensor_clock import Tick
from wm_sim.sensor_spec import SensorSpec
from wm_sim.view import WorldView

GRAVITY = 9.81


@dataclass(frozen=True)
class ImuReading:
    """One measurement in the sensor's axes, REP-103.

    Attributes:
        accel: (3,) m/s^2; +9.81 along z at rest.
        gyro: (3,) rad/s.
        orientation: (x, y, z, w) attitude of the sensor in the map frame; free of noise.
    """

    accel: np.ndarray
    gyro: np.ndarray
    orientation: tuple[float, ...]


class Imu:
    """``sensor.other.imu``.

    Raises:
        UserError: a noise attribute is not a number, or a deviation is negative.
    """

    def __init__(self, spec: SensorSpec) -> None:
        self._spec = spec
        self._accel_noise = [spec.number(f"noise_accel_stddev_{a}", 0.0, 0.0) for a in "xyz"]
        self._gyro_noise = [spec.number(f"noise_gyro_stddev_{a}", 0.0, 0.0) for a in "xyz"]
        # CARLA's axes are left-handed: its rates about x and z have the opposite sign.
        bias = [spec.number(f"noise_gyro_bias_{a}", 0.0) for a in "xyz"]
        self._gyro_bias = np.array(bias) * (-1.0, 1.0, -1.0)

    def measure(self, view: WorldView, tick: Tick) -> ImuReading:
        """Acceleration of the sensor (with the pull to the centre of a turn), rates, attitude."""
        rate = view.ego.yaw_rate_radps
        arm = self._spec.position
        accel = np.array([*view.accel_xy, GRAVITY])
        accel[:2] -= rate * rate * arm[:2]
        to_sensor = self._spec.rotation.T
        _, rotation = sensor_pose(self._spec, view)
        return ImuReading(
            to_sensor @ accel + tick.rng.normal(0.0, self._accel_noise),
            to_sensor @ (0.0, 0.0, rate) + self._gyro_bias + tick.rng.normal(0.0, self._gyro_noise),
            quaternion_from_euler(*euler_from_rotation(rotation)),
        )
