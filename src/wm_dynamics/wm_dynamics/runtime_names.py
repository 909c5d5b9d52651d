"""Names of runtimes and of their precisions, as configuration files spell them."""

from __future__ import annotations

from typing import Literal

BackendName = Literal["auto", "cpp", "torch", "onnxruntime", "tensorrt"]
Precision = Literal["fp32", "bf16", "fp16", "int8"]
EXPORT_FOLDER = "export"  # in a model directory, where `wm export` puts it
