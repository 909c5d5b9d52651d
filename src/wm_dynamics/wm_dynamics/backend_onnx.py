"""An exported world model under onnxruntime: the interface of ``TorchBackend``, without torch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from wm_dynamics.array_latent import ArrayEnd, ArrayFutures, ArrayLatent, ArrayObserved
from wm_dynamics.backend_array import ArrayBackend, row
from wm_dynamics.errors import UserError
from wm_dynamics.export.folder import Export
from wm_dynamics.heads import HEADS
from wm_dynamics.onnx_sessions import Sessions
from wm_dynamics.reference import integrate
from wm_dynamics.scales import SPEED_SCALE, checked_steps


class OnnxBackend(ArrayBackend):
    """The graphs of an export as perception and planning want them: numpy in, numpy out.

    A graph is read and checked when it is first needed, so that a process holds no more than it
    uses.

    Args:
        export: opened, see :func:`wm_dynamics.export.folder.open_export`.
        precision: of the imagined steps, one of ``export.precisions``.
        threads: of onnxruntime for one graph.

    Raises:
        UserError: the export has no such precision.
    """

    def __init__(self, export: Export, precision: str = "fp32", threads: int = 1):
        if precision not in export.precisions:
            raise UserError(
                f"{export.path} has the precisions {', '.join(export.precisions)}, not "
                f"{precision}; export it again: wm export --precision {precision}"
            )
        super().__init__(export.config, export.hash, export.novelty())
        self.precision = precision
        self.name = f"onnxruntime ({precision}, {threads} threads)"
        self._initial = _belief(export.initial)
        self._run = Sessions(export, threads).run
        ports = {port.name: port for port in export.graphs["observe"].inputs}
        self._blank = {
            name: np.zeros([int(size) for size in ports[name].shape], ports[name].dtype)
            for name in self.config.streams
        }

    def initial(self) -> ArrayLatent:
        """The belief before anything was seen."""
        return self._initial

    def expected(self, state: np.ndarray, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How the vehicle should move: state (N, 5), action (N, 2) -> next state, motion."""
        out = self._run("ego", {"state": state, "action": action})
        return out["next_state"], out["motion"]

    def predict(
        self, latent: ArrayLatent, action: np.ndarray, motion: np.ndarray, state: np.ndarray
    ) -> ArrayLatent:
        """One filter step without a look at the world."""
        moved = {"action": row(action), "motion": row(motion), "state": row(state)}
        return _belief(self._run("predict", _feed(latent) | moved))

    def perceive(self, latent: ArrayLatent) -> dict[str, float]:
        """The heads at the belief itself."""
        (values,) = self._run("perceive", {"deter": latent.deter, "stoch": latent.stoch})["heads"]
        return {head.name: float(value) for head, value in zip(HEADS, values, strict=True)}

    def imagine(
        self, latent: ArrayLatent, ego_state: np.ndarray, actions: np.ndarray
    ) -> ArrayFutures:
        """Roll ``actions`` (N, H, 2) out from ``latent`` and ``ego_state`` (5,) or (N, 5)."""
        checked = checked_steps(actions.shape[1]) if self.members > 1 else []
        steps = [
            ("step_checked" if t in checked else "step", _member(t % self.members))
            for t in range(actions.shape[1])
        ]
        return self._roll(latent, ego_state, actions, steps)

    def imagine_members(
        self, latent: ArrayLatent, ego_state: np.ndarray, actions: np.ndarray
    ) -> ArrayFutures:
        """As ``imagine``, by each of K members alone: K * N futures, the first member's first."""
        horizon = actions.shape[1]
        found = [
            self._roll(latent, ego_state, actions, [("step", _member(k))] * horizon)
            for k in range(self.members)
        ]
        ends = [futures.end for futures in found]
        last = ArrayLatent(
            np.concatenate([end.latent.deter for end in ends]),
            np.concatenate([end.latent.stoch for end in ends]),
        )
        return ArrayFutures(
            path=np.concatenate([f.path for f in found]),
            speed=np.concatenate([f.speed for f in found]),
            heads={h.name: np.concatenate([f.heads[h.name] for f in found]) for h in HEADS},
            disagreement=np.concatenate([f.disagreement for f in found]),
            spreads=np.concatenate([f.spreads for f in found]),
            end=ArrayEnd(last, np.concatenate([end.ego_state for end in ends])),
        )

    def imagine_sampled(
        self,
        latent: ArrayLatent,
        ego_state: np.ndarray,
        actions: np.ndarray,
        uniforms: np.ndarray,
    ) -> ArrayFutures:
        """As ``imagine``, drawn from the mixture of all members, see ``reference.imagine``.

        Args:
            latent, ego_state, actions: see :meth:`imagine`.
            uniforms: (N, H, G) or (N, H, Z) in [0, 1).
        """
        drawn = np.asarray(uniforms, np.float32).swapaxes(0, 1)
        steps = [("step_sampled", {"uniforms": np.ascontiguousarray(part)}) for part in drawn]
        return self._roll(latent, ego_state, actions, steps)

    def _roll(
        self,
        latent: ArrayLatent,
        ego_state: np.ndarray,
        actions: np.ndarray,
        steps: list[tuple[str, dict[str, np.ndarray]]],
    ) -> ArrayFutures:
        """Imagine; steps: for each of them the graph, and what it reads beside the states."""
        n = len(actions)
        moves = np.ascontiguousarray(np.asarray(actions, np.float32).swapaxes(0, 1))
        state = np.broadcast_to(np.asarray(ego_state, np.float32), (n, self.config.state_dim))
        state = np.ascontiguousarray(state)
        latent = latent.expand(n)
        motions, speeds, heads, spreads = [], [], [], []
        for move, (graph, more) in zip(moves, steps, strict=True):
            feed = {**_feed(latent), "action": move, "ego_state": state, **more}
            out = self._run(f"{graph}.{self.precision}", feed)
            latent, state = _belief(out), out["next_ego_state"]
            motions.append(out["motion"])
            speeds.append(state[:, 0])
            heads.append(out["heads"])
            if "spread" in out:
                spreads.append(out["spread"])
        values = np.stack(heads, 1)
        spread = np.stack(spreads, 1) if spreads else np.zeros((n, 0), np.float32)
        return ArrayFutures(
            path=integrate(np.stack(motions, 1)),
            speed=np.maximum(np.stack(speeds, 1) * np.float32(SPEED_SCALE), 0.0),
            heads={head.name: values[..., i] for i, head in enumerate(HEADS)},
            disagreement=spread.mean(1) if spreads else np.zeros(n, np.float32),
            spreads=spread,
            end=ArrayEnd(ArrayLatent(latent.deter, latent.stoch), state),
        )

    def _look(
        self,
        latent: ArrayLatent,
        action: np.ndarray,
        motion: np.ndarray,
        streams: Mapping[str, np.ndarray],
    ) -> ArrayObserved:
        feed = {**_feed(latent), "action": action, "motion": motion, **streams}
        names = self.config.streams
        missing = [name for name in names if name not in streams]
        if missing and not self.config.modality_dropout:
            raise UserError(
                f"the model needs {', '.join(missing)}, which is missing; give it, or train a "
                "model with modality_dropout above 0"
            )
        if self.config.modality_dropout:
            feed |= {name: self._blank[name] for name in missing}
            feed["present"] = np.array([[name in streams for name in names]])
        out = self._run("observe", feed)
        return ArrayObserved(_belief(out), out["surprise"], out["disagreement"], out["embedding"])


def _belief(out: Mapping[str, np.ndarray]) -> ArrayLatent:
    return ArrayLatent(out["next_deter"], out["next_stoch"], out.get("next_memory"))


def _feed(latent: ArrayLatent) -> dict[str, np.ndarray]:
    feed = {"deter": latent.deter, "stoch": latent.stoch}
    return feed if latent.memory is None else {**feed, "memory": latent.memory}


def _member(index: int) -> dict[str, np.ndarray]:
    return {"member": np.array(index, np.int64)}
