"""Imagination on a GPU: a whole rollout is one CUDA graph of TensorRT engines.

Each plan is one copy of inputs, H engine runs and one copy of results, recorded once for a number
of candidates and a horizon, and launched again with one call and one wait. The filter looks at one
frame at a time and stays on the CPU, in onnxruntime.

Has not met a GPU yet: see docs/export.md for what is tested without one.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from wm_dynamics.array_latent import ArrayFutures, ArrayLatent
from wm_dynamics.backend_onnx import OnnxBackend
from wm_dynamics.errors import UserError
from wm_dynamics.export.folder import Export
from wm_dynamics.tensorrt_build import product
from wm_dynamics.tensorrt_cuda import Cuda, find_cuda
from wm_dynamics.tensorrt_engine import Engine, read_engine
from wm_dynamics.tensorrt_plan import RolloutPlan, plan_rollout
from wm_dynamics.tensorrt_program import Programs


class TensorRTBackend(OnnxBackend):
    """As :class:`OnnxBackend`, imagining on a GPU.

    Args:
        export: with engines, see :func:`wm_dynamics.tensorrt_engine.write_engine`.
        trt: bindings, see :func:`wm_dynamics.tensorrt_build.find_tensorrt`.
        precision: of the engines.
        threads: of the filter.
        device: number of the GPU.

    Raises:
        UserError: no CUDA, no GPU, or no engines that fit it.
    """

    def __init__(
        self, export: Export, trt: Any, precision: str = "fp16", threads: int = 1, device: int = 0
    ):
        super().__init__(export, precision, threads)
        self.name = f"{product(trt)} {trt.__version__} ({precision}, GPU {device})"
        cuda = find_cuda(device)
        graphs = ("step", "step_checked") if self.members > 1 else ("step",)
        engines = {
            name: read_engine(trt, export, f"{name}.{precision}", cuda.capability)
            for name in graphs
        }
        runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
        contexts = {name: _context(trt, runtime, engine) for name, engine in engines.items()}
        self._programs = Programs(
            partial(plan_rollout, self.config),
            lambda plan: GraphRunner(cuda, contexts, engines, plan),
        )

    def imagine(
        self, latent: ArrayLatent, ego_state: np.ndarray, actions: np.ndarray
    ) -> ArrayFutures:
        """See :meth:`OnnxBackend.imagine`."""
        program = self._programs(len(actions), actions.shape[1], False)
        return program(latent, ego_state, actions)

    def imagine_members(
        self, latent: ArrayLatent, ego_state: np.ndarray, actions: np.ndarray
    ) -> ArrayFutures:
        """See :meth:`OnnxBackend.imagine_members`."""
        program = self._programs(len(actions), actions.shape[1], True)
        return program(latent, ego_state, actions)


class GraphRunner:
    """The memory of one plan on a GPU, and its CUDA graph.

    Args:
        cuda: the device.
        contexts: graph -> TensorRT's execution context.
        engines: graph -> what it reads and writes.
        plan: what is to run.

    Raises:
        UserError: more or fewer candidates than the engines take, or TensorRT refuses a step.
    """

    def __init__(
        self, cuda: Cuda, contexts: dict[str, Any], engines: dict[str, Engine], plan: RolloutPlan
    ):
        for name, engine in engines.items():
            if not engine.rows.least <= plan.rows <= engine.rows.most:
                raise UserError(
                    f"{engine.graph} was built for {engine.rows.least} to {engine.rows.most} "
                    f"candidates, not {plan.rows}; build it again: wm export --rows"
                )
            for port in engine.inputs:
                shape = tuple(plan.rows if size == "N" else size for size in port.shape)
                contexts[name].set_input_shape(port.name, shape)
        self._cuda, self._contexts, self._plan = cuda, contexts, plan
        self.host = cuda.pinned(plan.size)
        self._device = cuda.allocate(plan.size)
        self._work()  # TensorRT allocates and chooses on a first run, which no graph may hold
        cuda.wait()
        self._launch = cuda.capture(self._work)

    def run(self) -> None:
        """See :class:`wm_dynamics.tensorrt_program.Runner`."""
        self._launch()
        self._cuda.wait()

    def _work(self) -> None:
        plan, cuda = self._plan, self._cuda
        cuda.copy_in(self._device, self.host[: plan.inputs_end])
        for launch in plan.launches:
            context = self._contexts[launch.graph]
            for tensor, (buffer, block) in launch.tensors.items():
                address = self._device + plan.buffers[buffer].address(block)
                context.set_tensor_address(tensor, address)
            if not context.execute_async_v3(cuda.stream):
                raise UserError(f"TensorRT refused to run {launch.graph}; its log says why")
        cuda.copy_out(self.host[plan.outputs_start :], self._device + plan.outputs_start)


def _context(trt: Any, runtime: Any, engine: Engine) -> Any:
    made = runtime.deserialize_cuda_engine(engine.data)
    if made is None:
        raise UserError(f"TensorRT {trt.__version__} cannot read the engine of {engine.graph}")
    strategies = getattr(trt, "DynamicShapesKernelSpecializationStrategy", None)
    if strategies is None:
        return made.create_execution_context()
    # TensorRT-RTX compiles for a shape in the background unless told to do it at once, and what
    # it compiled later would not be in the CUDA graph.
    config = made.create_runtime_config()
    config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
    return made.create_execution_context(config)
