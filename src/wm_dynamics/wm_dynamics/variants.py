"""Named kinds of world model: what differs from the default, for any size."""

from __future__ import annotations

from typing import Any

from wm_dynamics.config import SIZES, ModelConfig
from wm_dynamics.errors import UserError

CORES = ("gru", "block_gru", "transformer")
LATENTS = ("discrete", "gaussian")
# Pixels of a driving model's camera: wide enough for the field of view that a road needs.
CAMERA_HEIGHT, CAMERA_WIDTH = 80, 144
_CAMERA = {"height": CAMERA_HEIGHT, "width": CAMERA_WIDTH}

# Kinds of input. "all" hides each stream in a fifth of the training windows.
INPUTS: dict[str, dict[str, Any]] = {
    "bev": {},
    "camera": {"bev": False, "camera": _CAMERA},
    "camera-resnet": {"bev": False, "camera": {**_CAMERA, "encoder": "resnet", "features": 256}},
    "camera-vit": {"bev": False, "camera": {**_CAMERA, "encoder": "vit"}},
    "cameras-3": {"bev": False, "camera": {**_CAMERA, "names": ("front", "left", "right")}},
    "lidar": {"bev": False, "lidar": {}},
    "all": {
        "camera": {**_CAMERA, "names": ("front", "left", "right")},
        "lidar": {},
        "modality_dropout": 0.2,
    },
}


def variant(
    size: str = "small", core: str = "gru", latent: str = "discrete", inputs: str = "bev", **changes
) -> ModelConfig:
    """The configuration of one kind of model.

    Args:
        size: key of ``config.SIZES``.
        core: one of ``CORES``.
        latent: one of ``LATENTS``.
        inputs: key of ``INPUTS``.
        changes: further fields of :class:`~wm_dynamics.config.ModelConfig`.

    Raises:
        UserError: an unknown name.
    """
    for kind, name, known in (
        ("size", size, SIZES),
        ("core", core, CORES),
        ("latent", latent, LATENTS),
        ("inputs", inputs, INPUTS),
    ):
        if name not in known:
            raise UserError(f"unknown {kind} {name!r}; choose one of {', '.join(known)}")
    fields = SIZES[size].model_dump() | INPUTS[inputs] | {"core": core, "latent": latent} | changes
    return ModelConfig.model_validate(fields)
