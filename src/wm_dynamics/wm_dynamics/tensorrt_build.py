"""TensorRT engines of exported graphs: one way for TensorRT 10 and 11 and for TensorRT-RTX.

A network is always strongly typed: every type is the one in the ONNX graph, int8 its Q/DQ nodes.
So nothing here touches what 11 has dropped: precision flags, calibrators, a layer's own precision.
The bindings are handed in, whatever they are called; nothing is imported until they are asked for.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wm_dynamics.errors import UserError
from wm_dynamics.export.folder import Port

# In the order of preference. The packages of bindings alone have other names.
MODULES = ("tensorrt", "tensorrt_rtx", "tensorrt_bindings", "tensorrt_rtx_bindings")
MAJORS = (10, 11)  # of TensorRT; TensorRT-RTX counts by itself
RTX_MAJORS = (1,)
# Flags of a network: the first is gone in 11 and always on there, the second always on in RTX.
_NETWORK_FLAGS = ("EXPLICIT_BATCH", "STRONGLY_TYPED")
DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "BF16": "bfloat16",
    "INT64": "int64",
    "INT32": "int32",
    "INT8": "int8",
    "UINT8": "uint8",
    "BOOL": "bool",
}


@dataclass(frozen=True)
class Rows:
    """For how many rows (N) an engine is built; it is fastest at ``best``."""

    least: int = 1
    best: int = 128
    most: int = 1024

    def __post_init__(self):
        """Raises a UserError if the numbers are not in order."""
        if not 1 <= self.least <= self.best <= self.most:
            raise UserError(f"rows must rise: {self.least}, {self.best}, {self.most}")


@dataclass(frozen=True)
class Network:
    """What TensorRT made of a graph.

    Attributes:
        builder, network: its objects.
        parser: kept, since the network reads the weights it holds.
        layers: how many there are of each kind.
        inputs, outputs: as the sidecar has them; "N" where a size is dynamic.
    """

    builder: Any
    network: Any
    parser: Any
    layers: Mapping[str, int]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


def find_tensorrt(name: str = "") -> Any:
    """The bindings ``name``, or the first of ``MODULES`` that is there.

    Raises:
        UserError: none, or one of a version that this code does not know.
    """
    reasons = []
    for module in (name,) if name else MODULES:
        try:
            trt = importlib.import_module(module)
        # Bindings without their libraries fail in many ways; all mean that they are not there.
        except Exception as error:
            reasons.append(f"{module}: {str(error).splitlines()[0] if str(error) else error!r}")
            continue
        check_version(trt)
        return trt
    raise UserError(
        f"no TensorRT here ({'; '.join(reasons)}); install tensorrt or tensorrt-rtx, or use "
        "another backend"
    )


def product(trt: Any) -> str:
    """Which one it is, tensorrt or tensorrt_rtx, by whichever name the bindings were imported."""
    return str(trt.__name__).removesuffix("_bindings")


def is_rtx(trt: Any) -> bool:
    """Whether the bindings are of TensorRT-RTX, which builds without a GPU."""
    return product(trt) == "tensorrt_rtx"


def check_version(trt: Any) -> None:
    """Refuse a version whose interface is not known.

    Raises:
        UserError: it is another.
    """
    major = int(str(trt.__version__).partition(".")[0])
    known = RTX_MAJORS if is_rtx(trt) else MAJORS
    if major not in known:
        raise UserError(
            f"{trt.__name__} {trt.__version__} is not known here; install version "
            f"{' or '.join(f'{m}.x' for m in known)}"
        )


def parse(trt: Any, graph: bytes) -> Network:
    """A serialised ONNX graph as a strongly typed network.

    Raises:
        UserError: TensorRT cannot read it.
    """
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    kinds = trt.NetworkDefinitionCreationFlag
    flags = sum(1 << int(getattr(kinds, f)) for f in _NETWORK_FLAGS if hasattr(kinds, f))
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(graph):
        errors = [str(parser.get_error(i)) for i in range(parser.num_errors)]
        raise UserError(f"{trt.__name__} {trt.__version__} cannot read the graph: {errors[:3]}")
    layers = Counter(_name(network.get_layer(i).type) for i in range(network.num_layers))
    inputs = tuple(_port(network.get_input(i)) for i in range(network.num_inputs))
    outputs = tuple(_port(network.get_output(i)) for i in range(network.num_outputs))
    return Network(builder, network, parser, dict(layers), inputs, outputs)


def build(trt: Any, made: Network, rows: Rows, capabilities: tuple[str, ...] = ()) -> bytes:
    """The serialised engine of a network.

    Args:
        trt: the bindings.
        made: the network.
        rows: for how many candidates.
        capabilities: TensorRT-RTX only: names of ``ComputeCapability`` to build for, "SM89"; none:
            an engine that runs on all it knows. TensorRT itself builds for the GPU it finds.

    Raises:
        UserError: TensorRT could not build it, or knows no such capability.
    """
    config = made.builder.create_builder_config()
    # On by default, and not float32: products with 10 bits of mantissa, off by 1e-3.
    config.clear_flag(trt.BuilderFlag.TF32)
    dynamic = [port for port in made.inputs if "N" in port.shape]
    if dynamic:
        profile = made.builder.create_optimization_profile()
        for port in dynamic:
            sizes = [
                tuple(n if size == "N" else size for size in port.shape)
                for n in (rows.least, rows.best, rows.most)
            ]
            profile.set_shape(port.name, *sizes)
        config.add_optimization_profile(profile)
    if capabilities:
        _set_capabilities(trt, config, capabilities)
    engine = made.builder.build_serialized_network(made.network, config)
    if engine is None:
        raise UserError(
            f"{trt.__name__} {trt.__version__} built no engine; its reasons are in its log above"
        )
    return bytes(engine)


def _set_capabilities(trt: Any, config: Any, names: tuple[str, ...]) -> None:
    known = getattr(trt, "ComputeCapability", None)
    missing = [name for name in names if not hasattr(known, name)]
    if known is None or missing:
        raise UserError(
            f"{trt.__name__} {trt.__version__} cannot be asked for {', '.join(missing or names)}; "
            "leave the capability out"
        )
    config.num_compute_capabilities = len(names)
    for i, name in enumerate(names):
        config.set_compute_capability(getattr(known, name), i)


def _name(member: Any) -> str:
    """Name of a member of one of TensorRT's enumerations."""
    return str(member).rpartition(".")[2]


def _port(tensor: Any) -> Port:
    shape = tuple("N" if size == -1 else int(size) for size in tensor.shape)
    return Port(tensor.name, DTYPES.get(_name(tensor.dtype), _name(tensor.dtype)), shape)
