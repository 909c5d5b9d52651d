"""A small builder of ONNX graphs, fed with a model's weights by name.

Written down operator by operator instead of traced: nothing but numpy and onnx is needed, each node
is one that both onnxruntime and TensorRT know, and the type of every product is chosen here. That
is what a strongly typed TensorRT network asks for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 20
IR_VERSION = 10  # the newest that TensorRT 10 reads
ROWS = "N"  # name of the only dimension that is not fixed

FLOAT, INT64, UINT8, BOOL = (
    TensorProto.FLOAT,
    TensorProto.INT64,
    TensorProto.UINT8,
    TensorProto.BOOL,
)
# Types of the large products by name; sums, norms, gates and squashing are float32 in all.
PRODUCTS: Mapping[str, tuple[int, Any]] = {
    "fp32": (TensorProto.FLOAT, np.float32),
    "fp16": (TensorProto.FLOAT16, np.float16),
    "bf16": (TensorProto.BFLOAT16, ml_dtypes.bfloat16),
}
Shape = Sequence[int | str]


class Graph:
    """One graph in the making. Values are known by their names.

    Args:
        name: of the graph.
        tensors: weights by their names in ``model.safetensors``, float32.
        products: key of ``PRODUCTS``, for those layers that are not to stay float32.
    """

    def __init__(self, name: str, tensors: Mapping[str, np.ndarray], products: str = "fp32"):
        self.name, self.tensors = name, tensors
        self.product_type, self.product_dtype = PRODUCTS[products]
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, kind: int, shape: Shape) -> str:
        """Declare an input."""
        self._inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name: str, value: str, kind: int, shape: Shape) -> None:
        """Declare ``value`` as the output ``name``."""
        self._nodes.append(helper.make_node("Identity", [value], [name], name=f"out_{name}"))
        self._outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def op(self, kind: str, *inputs: str, label: str = "", **attributes: Any) -> str:
        """Add a node with one output; returns its name."""
        return self.split_op(kind, 1, *inputs, label=label, **attributes)[0]

    def split_op(
        self, kind: str, count: int, *inputs: str, label: str = "", **attributes: Any
    ) -> list[str]:
        """Add a node with ``count`` outputs; returns their names."""
        name = f"{label or kind}_{len(self._nodes)}"
        outputs = [name] if count == 1 else [f"{name}_{i}" for i in range(count)]
        self._nodes.append(helper.make_node(kind, inputs, outputs, name=name, **attributes))
        return outputs

    def constant(self, value: Any, dtype: Any = np.float32, name: str = "") -> str:
        """A constant; the same array under the same name is kept once."""
        array = np.ascontiguousarray(np.asarray(value).astype(dtype))
        name = name or f"constant_{len(self._constants)}"
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(array, name)
        return name

    def weight(self, name: str) -> str:
        """The weight ``name`` as it is."""
        return self.constant(self.tensors[name], name=name)

    def ints(self, *values: int) -> str:
        """A vector of integers: a shape, or sizes of a split."""
        return self.constant(values, np.int64, "ints_" + "_".join(map(str, values)))

    def model(self) -> onnx.ModelProto:
        """The graph so far, checked.

        Raises:
            onnx.checker.ValidationError: it is no valid graph (a mistake in this package).
        """
        graph = helper.make_graph(
            self._nodes, self.name, self._inputs, self._outputs, list(self._constants.values())
        )
        made = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="wm-drive",
        )
        onnx.checker.check_model(made, full_check=True)
        return made

    # ------------------------------------------------------------------ shapes

    def reshape(self, x: str, *shape: int) -> str:
        """To ``shape``; 0 keeps an axis, -1 takes what is left."""
        return self.op("Reshape", x, self.ints(*shape))

    def concat(self, *parts: str, axis: int = -1) -> str:
        """Side by side."""
        return parts[0] if len(parts) == 1 else self.op("Concat", *parts, axis=axis)

    def split(self, x: str, *sizes: int, axis: int = -1) -> list[str]:
        """Into parts of these sizes."""
        return self.split_op("Split", len(sizes), x, self.ints(*sizes), axis=axis)

    def unsqueeze(self, x: str, axis: int) -> str:
        """With one more axis."""
        return self.op("Unsqueeze", x, self.ints(axis))

    def cast(self, x: str, kind: int) -> str:
        """To another type."""
        return self.op("Cast", x, to=kind)

    # ------------------------------------------------------------------ layers

    def product(self, x: str, matrix: np.ndarray, name: str, exact: bool = False) -> str:
        """X (..., inputs) times a constant (..., inputs, outputs), float32 out.

        Args:
            x: float32.
            matrix: the constant.
            name: of the constant.
            exact: in float32 whatever the graph's type of products is.
        """
        if exact or self.product_type == FLOAT:
            return self.op("MatMul", x, self.constant(matrix, name=name), label=name)
        weight = self.constant(matrix, self.product_dtype, f"{name}.reduced")
        return self.reduced_product(x, weight, name)

    def reduced_product(self, x: str, weight: str, name: str) -> str:
        """X float32 times a value of the graph's type of products, float32 out."""
        if self.product_type == FLOAT:
            return self.op("MatMul", x, weight, label=name)
        small = self.op("MatMul", self.cast(x, self.product_type), weight, label=name)
        return self.cast(small, FLOAT)

    def linear(self, name: str, x: str, exact: bool = False) -> str:
        """``torch.nn.Linear`` with the weights ``name``; exact: see :meth:`product`."""
        out = self.product(x, self.tensors[f"{name}.weight"].T, f"{name}.matrix", exact)
        bias = f"{name}.bias"
        return self.op("Add", out, self.weight(bias)) if bias in self.tensors else out

    def layer_norm(self, name: str, x: str) -> str:
        """``torch.nn.LayerNorm`` over the last axis."""
        scale, shift = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=1e-5)

    def rms_norm(self, name: str, x: str) -> str:
        """``torch.nn.RMSNorm`` over the last axis, with torch's own epsilon."""
        mean = self.op("ReduceMean", self.op("Mul", x, x), self.ints(-1), keepdims=1)
        floor = self.constant(np.finfo(np.float32).eps, name="rms_epsilon")
        size = self.op("Sqrt", self.op("Add", mean, floor))
        return self.op("Mul", self.op("Div", x, size), self.weight(f"{name}.weight"))

    def silu(self, x: str) -> str:
        """X * sigmoid(x)."""
        return self.op("Mul", x, self.op("Sigmoid", x))

    def perceptron(self, name: str, x: str, layers: int = 1, exact: bool = False) -> str:
        """See :func:`wm_dynamics.networks.perceptron`; the last layer is as exact as the others."""
        for i in range(layers):
            hidden = self.linear(f"{name}.{3 * i}", x, exact)
            x = self.silu(self.layer_norm(f"{name}.{3 * i + 1}", hidden))
        return self.linear(f"{name}.{3 * layers}", x, exact)
