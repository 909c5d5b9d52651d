"""The whole driver as one object: observe, filter, imagine, plan, gate.

``wm eval`` runs it in process; over ROS the same parts run as nodes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from wm_dynamics.backends import Backend, make_backend_of
from wm_dynamics.blind import BlindBackend
from wm_dynamics.weights import Weights, weights_of
from wm_perception.camera_stream import CameraStream
from wm_perception.filter import Filtered, LatentFilter
from wm_perception.frame import Command, SceneFrame
from wm_perception.observation import Observation, Observer
from wm_perception.scene import Scene
from wm_perception.sight import View
from wm_planner.gate import GateDecision
from wm_planner.gate_config import GateConfig
from wm_planner.guard import Guard
from wm_planner.plan import Plan
from wm_planner.planner import Planner
from wm_planner.planner_config import PlannerConfig

if TYPE_CHECKING:  # what drives without a learned behaviour runs without torch
    from wm_dynamics.behavior import Behavior
    from wm_dynamics.model import WorldModel
    from wm_planner.actor_planner import ActorPlanner


def make_backend(
    driver: str,
    model: Weights | WorldModel,
    config: PlannerConfig | None = None,
    threads: int = 1,
    folder: Path | None = None,
) -> Backend:
    """Who imagines: the model ("planner"), its "blind" half, or its shape "untrained".

    Args:
        driver: one of the drivers that need a model.
        model: the model, or its weights alone.
        config: says what runs it.
        threads: of what runs it.
        folder: of the model, where its export is.
    """
    if driver == "blind":  # imagines next to nothing
        return BlindBackend(model if isinstance(model, Weights) else weights_of(model))
    if driver == "untrained":
        from wm_dynamics.model import WorldModel

        model, folder = WorldModel.untrained(model.config, seed=0), None
    c = config or PlannerConfig()
    return make_backend_of(model, c.backend, c.precision, threads, folder)


def make_planner(
    driver: str, backend, model_dir: Path, config: PlannerConfig
) -> Planner | ActorPlanner:
    """Who decides: the behaviour learned for the model ("actor"), or a search over imagination.

    Args:
        driver: one of the drivers that need a model.
        backend: who imagines.
        model_dir: directory of the model; its behaviour lies inside.
        config: parameters.

    Raises:
        UserError: the model has no behaviour, or another model's; or a parameter asks the "blind"
            or the "untrained" for what only a model's behaviour can say.
    """
    if driver == "actor":
        from wm_planner.actor_planner import ActorPlanner

        return ActorPlanner(*_behavior(backend, model_dir), config)
    actor = None
    if driver == "planner" and (config.actor_proposals or config.weights.value):
        from wm_planner.actor import Actor

        actor = Actor(*_behavior(backend, model_dir))
    return Planner(backend, config, actor)


def _behavior(backend: Backend, model_dir: Path) -> tuple[WorldModel, Behavior]:
    """The learned behaviour of a backend's model, and the model as the training code has it."""
    from wm_dynamics.behavior_checkpoint import FOLDER, load_behavior
    from wm_dynamics.checkpoint import load_checkpoint

    model = getattr(backend, "model", None) or load_checkpoint(model_dir)
    return model, load_behavior(model_dir / FOLDER, model)


class PlannerDriver:
    """Drives with a world model.

    Attributes:
        plan: the last plan, None before the first frame.
        observation: the last observation.
        filtered: the last posterior.
        camera: what the model sees of a frame's picture, None when it looks at none.
    """

    def __init__(
        self,
        backend,
        config: PlannerConfig | None = None,
        gate: GateConfig | None = None,
        camera: CameraStream | None = None,
        planner: Planner | ActorPlanner | None = None,
        view: View = "full",
        guarded: bool = True,
    ):
        """Set up.

        Args:
            backend: perceives and imagines.
            config: of the planner.
            gate: of the gate.
            camera: see above; frames must have a picture then.
            planner: who decides, if not a sampling planner over ``backend``.
            view: which of the objects around it is shown, see :mod:`wm_perception.sight`.
            guarded: False leaves the gate out, to measure what it is worth.
        """
        self.config = config or PlannerConfig()
        self._guard = Guard(gate, guarded)
        self._filter = LatentFilter(backend, self.config.frame_dt)
        self._planner = planner or Planner(backend, self.config)
        self.camera = camera
        self._view: View = view
        self.plan: Plan | None = None
        self.observation: Observation | None = None
        self.filtered: Filtered | None = None

    def reset(self, scene: Scene, seed: int = 0) -> None:
        """Begin a route."""
        self._observer = Observer(scene, self.config.frame_dt, self.camera, self._view)
        self._filter.reset()
        self._planner.reset(seed)
        self._guard.reset(scene.route.points)
        self.plan = self.observation = self.filtered = None

    @property
    def gate(self) -> GateDecision | None:
        """The last decision of the gate, None before the first frame."""
        return self._guard.decision

    def drive(self, frame: SceneFrame) -> Command:
        """The command for this frame, as the gate lets it through."""
        frame = self._observer.seen(frame)  # what is hidden is hidden from the gate, too
        self.observation = self._observer.observe(frame)
        self.filtered = self._filter.update(self.observation)
        self.plan = plan = self._planner.plan(
            self.filtered.latent,
            self.observation.state,
            self.observation.reference,
            self.observation.arrived,
            self.filtered.novelty,
        )
        wish = plan.command if plan.usable else None
        return self._guard.command(frame, wish, plan.feasible, plan.stop_requested, plan.reason)
