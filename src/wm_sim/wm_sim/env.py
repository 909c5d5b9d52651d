"""``WmSim/Driving-v0``: the embedded simulator as a Gymnasium environment.

It drives the same :class:`wm_sim.simulator.Simulator` as the bridge does, and observes through the
same :class:`wm_perception.observation.Observer` as the stack: what is learned here is what the
nodes see over ROS.
"""

from __future__ import annotations

import os
import weakref
from dataclasses import asdict
from typing import Any

import gymnasium
import numpy as np

from wm_dynamics.errors import UserError
from wm_perception.frame import SceneFrame
from wm_perception.observation import Observation, Observer
from wm_sim.env_config import EnvConfig, ResetOptions, validated
from wm_sim.env_episodes import Episode, draw_episode, reward_of
from wm_sim.env_spaces import action_space, observation_space, observed, picture, to_command
from wm_sim.rewards import Step, reward_config
from wm_sim.scenarios.library import scenario_spec
from wm_sim.simulator import Simulator

ENV_ID = "WmSim/Driving-v0"
FAILURES = ("collision", "off_route", "red_light", "scenario_failure")
SUCCESSES = ("arrived", "scenario_success")

gymnasium.register(ENV_ID, entry_point="wm_sim.env:DrivingEnv")


class DrivingEnv(gymnasium.Env[dict[str, Any], Any]):
    """Drive a route through a town.

    The simulator starts at the first ``reset`` and is released by ``close``. SUMO runs one
    simulator per process, so a process can have one environment with a running simulator; use
    :func:`wm_sim.vector_env.make_vec` for several.

    Args:
        render_mode: "rgb_array" for :meth:`render`, or None.
        **config: see :class:`wm_sim.env_config.EnvConfig`.

    Raises:
        UserError: an unknown argument or an impossible value.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012  # gymnasium's own
    _running: weakref.ref[DrivingEnv] | None = None

    def __init__(self, render_mode: str | None = None, **config: Any) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise UserError(f"render_mode must be 'rgb_array' or None, not {render_mode!r}")
        self.render_mode = render_mode
        self.config = validated(EnvConfig, config)
        self.rewards = reward_config(reward_of(self.config))
        self.observation_space = observation_space(self.config.camera)
        self.action_space = action_space(self.config.action)
        self._simulator: Simulator | None = None
        self._process = 0
        self._now: tuple[SceneFrame, Observation] | None = None
        self._steps = 0

    @property
    def simulator(self) -> Simulator:
        """The simulator, for teachers and for looking at more than is observed.

        Raises:
            UserError: the environment has not been reset.
        """
        if self._simulator is None:
            raise UserError("reset the environment first")
        return self._simulator

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: of everything that is drawn from here on.
            options: see :class:`wm_sim.env_config.ResetOptions`.

        Raises:
            UserError: an unknown option or an impossible value; another environment of this process
                is running.
            wm_sim.camera.CameraUnavailable: a camera is asked for and there is no OpenGL.
        """
        super().reset(seed=seed)
        chosen = validated(ResetOptions, dict(options or {}))
        episode = draw_episode(self.config, chosen, self.np_random)
        assert episode.route is not None
        simulator = self._claim(episode.town)
        scene = simulator.start_route(
            episode.route, episode.seed, episode.traffic, episode.suite, episode.world
        )
        self._observer = Observer(scene, self.config.frame_dt)
        self._off_route_m = self._reach(episode)
        frame = simulator.frame()
        seen = self._observer.observe(frame)
        self._now, self._steps = (frame, seen), 0
        return observed(seen, frame), asdict(episode) | {"route_length_m": scene.route.length_m}

    def step(self, action: Any) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Hold an action for one frame.

        Raises:
            UserError: the action is not in the action space or not finite, or there is no episode.
        """
        command = to_command(action, self.config.action)
        simulator = self.simulator
        if self._now is None:
            raise UserError("reset the environment first")
        before, seen_before = self._now
        frame = simulator.step(command)
        seen = self._observer.observe(frame)
        self._now, self._steps = (frame, seen), self._steps + 1
        assert simulator.scene is not None
        step = Step(simulator.scene, before, frame, seen_before, seen)
        terms = self.rewards.evaluate(step)
        reason = self._end(step)
        terminated = reason in FAILURES + SUCCESSES
        info = {
            "reason": reason,
            "success": reason in SUCCESSES,
            "progress_m": seen.on_route.s,
            "lateral_m": seen.on_route.lateral,
            "speed_mps": frame.ego.speed_mps,
            "collided": frame.collided,
            "ran_red": step.ran_red,
            "off_road": step.off_road,
            "reward_terms": terms,
        }
        return observed(seen, frame), sum(terms.values()), terminated, reason == "time", info

    def render(self) -> np.ndarray | None:
        """(384, 384, 3) uint8 RGB drawing of what is observed, in render mode "rgb_array".

        Raises:
            UserError: there is no episode.
        """
        if self.render_mode is None:
            return None
        if self._now is None:
            raise UserError("reset the environment first")
        frame, seen = self._now
        return picture(seen, frame)

    def close(self) -> None:
        """Release the simulator; ``reset`` starts it again."""
        if self._simulator is not None:
            self._simulator.close()
        self._simulator, self._now = None, None

    def _end(self, step: Step) -> str:
        """Why the episode ends with this step; empty when it goes on."""
        scenario = self.simulator.scenario
        status = scenario.status if scenario is not None else ""
        reasons = {
            "collision": step.after.collided,
            "off_route": step.lateral_m > self._off_route_m,
            "red_light": self.config.end_on_red and step.ran_red,
            "scenario_failure": status == "failure",
            "scenario_success": status == "success",
            "arrived": step.seen.arrived,
            "time": self._steps >= self.config.max_steps,
        }
        return next((reason for reason, holds in reasons.items() if holds), "")

    def _claim(self, town: str) -> Simulator:
        """The simulator of a town; starts it, if no other environment here has one."""
        other = DrivingEnv._running() if DrivingEnv._running is not None else None
        if other is not None and other is not self and other._runs_here():
            raise UserError(
                "another driving environment is running in this process, and SUMO runs one "
                "simulator per process: close() it first, or use wm_sim.vector_env.make_vec, "
                "which gives each environment a process of its own"
            )
        if self._simulator is None or self._simulator.town_name != town:
            self.close()
            self._simulator = Simulator(town, self.config.frame_dt, self._camera())
        DrivingEnv._running, self._process = weakref.ref(self), os.getpid()
        return self._simulator

    def _runs_here(self) -> bool:
        return self._simulator is not None and self._process == os.getpid()

    def _reach(self, episode: Episode) -> float:
        """How far from the route the ego may be."""
        if not episode.world.scenario:
            return self.config.off_route_m
        return max(self.config.off_route_m, scenario_spec(episode.world.scenario).off_route_m)

    def _camera(self) -> Any:
        if self.config.camera is None:
            return None
        from wm_sim.camera import CameraConfig

        width, height = self.config.camera
        return CameraConfig(width=width, height=height, samples=self.config.camera_samples)
