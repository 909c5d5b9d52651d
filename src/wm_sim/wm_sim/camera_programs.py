"""Shader programs with their vertex arrays, compiled when first needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from wm_sim.camera_mesh import cube, cylinder
from wm_sim.camera_shaders import sources

INSTANCE_FORMAT = ("4f 3f 3f 4f 4f/i", "pose", "offset", "size", "colour", "form")
INSTANCE_FLOATS = 18
Value = float | np.ndarray


class Program:
    """One compiled program and what it draws.

    Attributes:
        arrays: vertex arrays; two (boxes, cylinders) for things that move.
        lit: what its light uniforms were set from, to be compared by identity.
    """

    def __init__(self, program: Any, arrays: list[Any]) -> None:
        self._program, self.arrays = program, arrays
        self.lit: object = None

    def set(self, values: Mapping[str, Value]) -> None:
        """Set uniforms; those that the compiled program has no use for are left out."""
        for name, value in values.items():
            member = self._program.get(name, None)
            if member is None:
                continue
            if isinstance(value, np.ndarray):
                member.write(np.ascontiguousarray(value, np.float32).tobytes())
            else:
                member.value = value


class Programs:
    """All programs of a context.

    Args:
        gl: the OpenGL context.
        vertices: (V, 10) float32 rows of the town's mesh.
        max_instances: how many boxes, and how many cylinders, can be drawn.
    """

    def __init__(self, gl: Any, vertices: np.ndarray, max_instances: int) -> None:
        self._gl = gl
        self._max_instances = max_instances
        self._mesh = gl.buffer(vertices.tobytes())
        self._solids = [
            gl.buffer(np.concatenate(solid, 1).astype(np.float32).tobytes())
            for solid in (cube(), cylinder())
        ]
        self._rows = [
            gl.buffer(reserve=max_instances * INSTANCE_FLOATS * 4, dynamic=True)
            for _ in self._solids
        ]
        self._corners = gl.buffer(np.array([-1, -1, 3, -1, -1, 3], np.float32).tobytes())
        self._compiled: dict[tuple[str, frozenset[str]], Program] = {}

    def load(self, boxes: np.ndarray, cylinders: np.ndarray) -> tuple[int, int]:
        """Hand over the instances of a frame; how many of each will be drawn."""
        counts = []
        for rows, buffer in zip((boxes, cylinders), self._rows, strict=True):
            rows = rows[: self._max_instances]
            if len(rows):
                buffer.write(np.ascontiguousarray(rows, np.float32).tobytes())
            counts.append(len(rows))
        return counts[0], counts[1]

    def get(self, name: str, features: frozenset[str] = frozenset()) -> Program:
        """The program called ``name`` with some optional features."""
        if (name, features) not in self._compiled:
            vertex, fragment = sources(name, features)
            program = self._gl.program(vertex, fragment)
            self._compiled[name, features] = Program(program, self._arrays(name, program))
        return self._compiled[name, features]

    def _arrays(self, name: str, program: Any) -> list[Any]:
        if name.startswith("static"):
            return [self._array(program, (self._mesh, "3f 3f 4f", "position", "normal", "colour"))]
        if name.startswith("moving"):
            return [
                self._array(
                    program, (solid, "3f 3f", "position", "normal"), (rows, *INSTANCE_FORMAT)
                )
                for solid, rows in zip(self._solids, self._rows, strict=True)
            ]
        return [self._array(program, (self._corners, "2f", "corner"))]

    def _array(self, program: Any, *content: tuple) -> Any:
        return self._gl.vertex_array(program, list(content), skip_errors=True)
