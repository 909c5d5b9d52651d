"""Every name of TensorRT that is used is there, in whichever real bindings are installed.

The bindings of TensorRT 10 and 11 can be had without their libraries. So that they can be loaded,
nine functions of these are compiled that do nothing: names can be looked up, nothing can be run.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wm_dynamics.tensorrt_build import DTYPES

USED = {
    "": ["__version__", "Logger", "Builder", "OnnxParser", "Runtime"],
    "Logger": ["ERROR"],
    "DataType": list(DTYPES),
    "NetworkDefinitionCreationFlag": ["STRONGLY_TYPED"],
    "Builder": [
        "create_network",
        "create_builder_config",
        "create_optimization_profile",
        "build_serialized_network",
    ],
    "INetworkDefinition": [
        "num_layers", "get_layer", "num_inputs", "get_input", "num_outputs", "get_output",
    ],
    "ILayer": ["type"],
    "ITensor": ["name", "dtype", "shape"],
    "OnnxParser": ["parse", "num_errors", "get_error"],
    "BuilderFlag": ["TF32"],
    "IBuilderConfig": ["add_optimization_profile", "clear_flag"],
    "IOptimizationProfile": ["set_shape"],
    "Runtime": ["deserialize_cuda_engine"],
    "ICudaEngine": ["create_execution_context"],
    "IExecutionContext": ["set_input_shape", "set_tensor_address", "execute_async_v3"],
}  # fmt: skip
ONLY_RTX = {
    "ICudaEngine": ["create_runtime_config"],
    "IRuntimeConfig": ["dynamic_shapes_kernel_specialization_strategy"],
    "DynamicShapesKernelSpecializationStrategy": ["EAGER"],
    "ComputeCapability": ["SM89"],
    "IBuilderConfig": ["num_compute_capabilities", "set_compute_capability"],
}
LOOK = """
import importlib, json, sys
trt = importlib.import_module(sys.argv[1])
missing = []
for kind, names in json.loads(sys.argv[2]).items():
    holder = getattr(trt, kind, None) if kind else trt
    missing += [f"{kind}.{name}" for name in names if not hasattr(holder, name)]
print(json.dumps([trt.__version__, missing]))
"""
STUBBED = (
    "createInferBuilder_INTERNAL",
    "createInferRefitter_INTERNAL",
    "createInferRuntime_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL",
    "createNvOnnxParser_INTERNAL",
    "getBuilderPluginRegistry",
    "getNvOnnxParserVersion",
    "getPluginRegistry",
    "initLibNvInferPlugins",
)


def missing_names(module: str, wanted: dict[str, list[str]], libraries: Path) -> tuple[str, list]:
    """Version of a module, and what it lacks."""
    paths = [str(libraries), os.environ.get("LD_LIBRARY_PATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", LOOK, module, json.dumps(wanted)],
        env=os.environ | {"LD_LIBRARY_PATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    version, missing = json.loads(done.stdout.splitlines()[-1])
    return version, missing


def stub_libraries(folder: Path) -> None:
    """Libraries of every version that have the nine functions; they return nothing."""
    source = folder / "stub.c"
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in STUBBED))
    for major in (10, 11):
        for name in ("nvinfer", "nvinfer_plugin", "nvonnxparser"):
            file = folder / f"lib{name}.so.{major}"
            subprocess.run(["cc", "-shared", "-fPIC", "-o", file, source], check=True)


def test_tensorrt_has_what_is_used(tmp_path):
    if importlib.util.find_spec("tensorrt_bindings") is None:
        pytest.skip("no bindings of TensorRT: pip install tensorrt-cu13-bindings")
    if importlib.util.find_spec("tensorrt_libs") is None:
        if shutil.which("cc") is None:
            pytest.skip("neither TensorRT's libraries nor a C compiler to stand in for them")
        stub_libraries(tmp_path)
    version, missing = missing_names("tensorrt_bindings", USED, tmp_path)
    assert not missing, version


def test_tensorrt_rtx_has_what_is_used(tmp_path):
    if importlib.util.find_spec("tensorrt_rtx_bindings") is None:
        pytest.skip("no TensorRT-RTX: pip install 'wm-drive[tensorrt]'")
    wanted = {kind: USED.get(kind, []) + ONLY_RTX.get(kind, []) for kind in USED | ONLY_RTX}
    version, missing = missing_names("tensorrt_rtx_bindings", wanted, tmp_path)
    assert not missing, version
