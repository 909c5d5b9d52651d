"""All observation streams of one moment to one embedding."""

from __future__ import annotations

import torch
from torch import nn

from wm_dynamics.config import ModelConfig
from wm_dynamics.errors import UserError
from wm_dynamics.networks import (
    RESIDUAL_OUT,
    VectorEncoder,
    VisionTransformer,
    patch_cnn,
    residual_cnn,
)
from wm_dynamics.streams import VECTORS, Streams


class CameraEncoder(nn.Module):
    """Images of several cameras: one shared network, one learned vector per camera."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        camera = config.camera
        assert camera is not None, "made for models with cameras only"
        if camera.encoder == "vit":
            self.net: nn.Module = VisionTransformer(camera)
            width = camera.vit_width
        elif camera.encoder == "resnet":
            self.net = residual_cnn(3, camera.cnn_channels)
            width = RESIDUAL_OUT * (camera.height // 16) * (camera.width // 16)
        else:
            self.net = patch_cnn(3, camera.cnn_channels)
            width = 64 * (camera.height // 16) * (camera.width // 16)
        self.out = nn.Linear(width, camera.features)
        self.camera = nn.Parameter(0.1 * torch.randn(len(camera.names), camera.features))
        self.norm = nn.LayerNorm(camera.features)

    def look(self, images: list[torch.Tensor]) -> list[torch.Tensor]:
        """Cameras' images, each (M, 3, h, w) -> features before the camera is known, each (M, F).

        One pass for all of them.
        """
        return list(self.out(self.net(torch.cat(images))).chunk(len(images)))

    def label(self, features: torch.Tensor, index: int) -> torch.Tensor:
        """Say which camera the features (M, F) came from."""
        return nn.functional.silu(self.norm(features + self.camera[index]))


class Encoder(nn.Module):
    """Masks, images, lidar, state and route -> embedding (M, embed).

    A model with modality dropout has one learned vector per stream for "not there"; another model
    refuses to work without all its streams.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        width = 0
        self.cnn: nn.Sequential | None = None
        if config.bev:
            self.cnn = patch_cnn(config.bev_channels, config.cnn_channels)
            width += 64 * (config.bev_size // 16) ** 2
        self.cameras: CameraEncoder | None = None
        if config.camera:
            self.cameras = CameraEncoder(config)
            width += config.camera.features * len(config.cameras)
        self.lidar: nn.Sequential | None = None
        if config.lidar:
            self.lidar = patch_cnn(config.lidar.channels, config.lidar.cnn_channels)
            width += 64 * (config.lidar.size // 16) ** 2
        self.vector: VectorEncoder | None = None
        dims = {"state": config.state_dim, "route": config.route_dim}
        self.vector_dims = {name: dims[name] for name in VECTORS if name in config.streams}
        if self.vector_dims:
            self.vector = VectorEncoder(sum(self.vector_dims.values()), config.vector_hidden)
            width += config.vector_hidden
        self.out = nn.Sequential(
            nn.Linear(width, config.embed), nn.LayerNorm(config.embed), nn.SiLU()
        )
        self.missing = self._missing_vectors() if config.modality_dropout else None

    def _missing_vectors(self) -> nn.ParameterDict:
        """What stands in the place of a stream that is not there: its features, or raw vectors."""
        config = self.config
        widths = dict(self.vector_dims)
        if config.bev:
            widths["bev"] = 64 * (config.bev_size // 16) ** 2
        if config.lidar:
            widths["lidar_bev"] = 64 * (config.lidar.size // 16) ** 2
        if config.camera:
            widths["camera"] = config.camera.features
        return nn.ParameterDict(
            {name: nn.Parameter(0.1 * torch.randn(width)) for name, width in widths.items()}
        )

    def standardise(self, vectors: Streams) -> None:
        """Take mean and spread of the vector streams from data, name -> (F, width)."""
        if self.vector is not None:
            self.vector.standardise(torch.cat([vectors[name] for name in self.vector_dims], -1))

    def forward(self, streams: Streams, present: Streams | None = None) -> torch.Tensor:
        """Embed M rows.

        Args:
            streams: name -> (M, ...), see ``streams.network_inputs``.
            present: name -> (M,) bool, rows that have the stream; streams not named are there
                when they are in ``streams``.

        Raises:
            UserError: a stream is missing and the model never learned to do without.
        """
        present = present or {}
        self._check_complete(streams, present)
        parts = []
        rows = len(next(iter(streams.values())))
        if self.cnn is not None:
            parts.append(self._net("bev", self.cnn, streams, present, rows))
        if self.cameras is not None:
            parts += self._cameras(self.cameras, streams, present, rows)
        if self.lidar is not None:
            parts.append(self._net("lidar_bev", self.lidar, streams, present, rows))
        if self.vector is not None:
            parts.append(self._vectors(self.vector, streams, present, rows))
        return self.out(torch.cat(parts, -1))

    def _check_complete(self, streams: Streams, present: Streams) -> None:
        names = self.config.streams
        absent = [name for name in names if name not in streams or name in present]
        if absent and self.missing is None:
            raise UserError(
                f"the model needs {', '.join(absent)}, which is missing; give it, or train a "
                "model with modality_dropout above 0"
            )
        if not any(name in streams for name in names):
            raise UserError(f"the model sees nothing; give one of {', '.join(names)}")

    def _net(
        self, name: str, net: nn.Module, streams: Streams, present: Streams, rows: int
    ) -> torch.Tensor:
        """Features of one stream, (M, X)."""
        features = net(streams[name]) if name in streams else None
        return self._fill(name, features, present.get(name), rows)

    def _fill(
        self, key: str, features: torch.Tensor | None, present: torch.Tensor | None, rows: int
    ) -> torch.Tensor:
        """features (M, X) with the learned vector in the rows that have none."""
        if features is None or present is not None:
            assert self.missing is not None, "checked before"
            missing = self.missing[key].expand(rows, -1)
            if features is None or present is None:
                return missing
            return torch.where(present[:, None], features, missing)
        return features

    def _cameras(
        self, net: CameraEncoder, streams: Streams, present: Streams, rows: int
    ) -> list[torch.Tensor]:
        """Features of each camera, (M, F)."""
        there = [name for name in self.config.cameras if name in streams]
        seen = dict(
            zip(there, net.look([streams[name] for name in there]) if there else [], strict=True)
        )
        return [
            net.label(self._fill("camera", seen.get(name), present.get(name), rows), i)
            for i, name in enumerate(self.config.cameras)
        ]

    def _vectors(
        self, net: VectorEncoder, streams: Streams, present: Streams, rows: int
    ) -> torch.Tensor:
        """Features of state and route together, (M, vector_hidden)."""
        if self.missing is None:
            return net(torch.cat([streams[name] for name in self.vector_dims], -1))
        some = next(iter(streams.values()))
        values, flags = [], []
        for name, width in self.vector_dims.items():
            value, flag = streams.get(name), present.get(name)
            values.append(some.new_zeros(rows, width) if value is None else value)
            if flag is None:
                flag = torch.full((rows,), value is not None, device=some.device)
            flags.append(flag[:, None].expand(-1, width))
        missing = torch.cat([self.missing[name] for name in self.vector_dims])
        return net(torch.cat(values, -1), torch.cat(flags, -1), missing)
