"""Pictures as bags hold them: raw in any of ROS's encodings, or compressed; colour or depth.

Formats: ``sensor_msgs/image_encodings.hpp`` for raw pictures, ``compressed_image_transport`` (JPEG,
PNG) and ``compressed_depth_image_transport`` (a 12-byte header before a PNG) for compressed ones.
"""

from __future__ import annotations

import re
import struct

import cv2
import numpy as np

from wm_perception.messages import CHANNELS, MessageError, rgb_image

# Encoding -> OpenCV's conversion of one 8-bit channel to RGB. A Bayer pattern is named
# after its first pixels by ROS and after its second row by OpenCV, which is why RG becomes BG.
_TO_RGB = {
    "mono8": cv2.COLOR_GRAY2RGB,
    "8UC1": cv2.COLOR_GRAY2RGB,
    "bayer_rggb8": cv2.COLOR_BayerBG2RGB,
    "bayer_bggr8": cv2.COLOR_BayerRG2RGB,
    "bayer_gbrg8": cv2.COLOR_BayerGR2RGB,
    "bayer_grbg8": cv2.COLOR_BayerGB2RGB,
}
_YUV = {
    "yuv422": cv2.COLOR_YUV2RGB_UYVY,
    "uyvy": cv2.COLOR_YUV2RGB_UYVY,
    "yuv422_yuy2": cv2.COLOR_YUV2RGB_YUYV,
    "yuyv": cv2.COLOR_YUV2RGB_YUYV,
}
# OpenCV's own names for interleaved bytes, which are blue first by its convention.
_ALIASES = {"8UC3": "bgr8", "8UC4": "bgra8"}
_WIDE = {"mono16", "rgb16", "bgr16", "rgba16", "bgra16"}
_WIDE |= {f"bayer_{pattern}16" for pattern in ("rggb", "bggr", "gbrg", "grbg")}
DEPTH_ENCODINGS = ("32FC1", "16UC1")
MM = 0.001
DEPTH_HEADER = struct.Struct("<iff")  # format, then two parameters of the quantisation
_PNG = b"\x89PNG"


def is_depth(message) -> bool:
    """Whether a sensor_msgs/Image or CompressedImage says that it holds depth."""
    if hasattr(message, "encoding"):
        return message.encoding in DEPTH_ENCODINGS
    return message.format.split(";")[0].strip() in DEPTH_ENCODINGS


def picture(message) -> np.ndarray:
    """sensor_msgs/Image or CompressedImage -> (H, W, 3) uint8 RGB, or (H, W) float32 depth in m.

    Depth that was not measured (0 of 16UC1, not finite of 32FC1) is 0.

    Raises:
        MessageError: unknown encoding, empty or cut off, or data that do not fit the size.
    """
    if hasattr(message, "encoding"):
        return raw_depth(message) if is_depth(message) else raw_colour(message)
    return compressed_depth(message) if is_depth(message) else compressed_colour(message)


def _rows(message, dtype: np.dtype, channels: int) -> np.ndarray:
    """(H, W, channels) numbers of a raw picture, without the padding of its rows."""
    height, width, step = message.height, message.width, message.step
    if height == 0 or width == 0:
        raise MessageError(f"image is empty ({width} x {height})")
    used = width * channels * dtype.itemsize
    if step < used:
        raise MessageError(f"image step {step} is less than {width} pixels of {message.encoding}")
    if len(message.data) != step * height:
        raise MessageError(
            f"image has {len(message.data)} bytes, expected step * height = {step * height}"
        )
    rows = np.frombuffer(message.data, np.uint8).reshape(height, step)[:, :used]
    return np.ascontiguousarray(rows).view(dtype).reshape(height, width, channels)


def _order(message) -> str:
    return ">" if message.is_bigendian else "<"


def raw_colour(message) -> np.ndarray:
    """sensor_msgs/Image in colours or shades of grey -> (H, W, 3) uint8 RGB.

    Raises:
        MessageError: as :func:`picture`.
    """
    encoding = message.encoding
    if encoding in CHANNELS:
        return rgb_image(message)
    if encoding in _ALIASES:
        channels, red = int(encoding[-1]), [2, 1, 0]
        return _rows(message, np.dtype(np.uint8), channels)[..., red].copy()
    if encoding in _TO_RGB:
        return _from_one_channel(_rows(message, np.dtype(np.uint8), 1)[..., 0], encoding)
    if encoding in _YUV:
        if message.width % 2:
            raise MessageError(f"image of {encoding} is {message.width} pixels wide, an odd number")
        return cv2.cvtColor(_rows(message, np.dtype(np.uint8), 2), _YUV[encoding])
    if encoding in _WIDE:
        return _wide_colour(message)
    known = ", ".join([*CHANNELS, *_ALIASES, *_TO_RGB, *_YUV, *sorted(_WIDE)])
    raise MessageError(f"image encoding {encoding!r} is not known; known are {known}")


def _from_one_channel(pixels: np.ndarray, encoding: str) -> np.ndarray:
    """(H, W) uint8 grey or Bayer mosaic -> (H, W, 3) uint8 RGB."""
    if encoding.startswith("bayer") and min(pixels.shape) < 2:
        raise MessageError(f"image of {encoding} is too small, {pixels.shape[1]} x {len(pixels)}")
    return cv2.cvtColor(pixels, _TO_RGB[encoding])


def _wide_colour(message) -> np.ndarray:
    """16 bits a channel: the upper eight count."""
    base = message.encoding[:-2]
    channels = {"rgb": 3, "bgr": 3, "rgba": 4, "bgra": 4}.get(base, 1)
    pixels = _rows(message, np.dtype(_order(message) + "u2"), channels)
    upper = (pixels >> 8).astype(np.uint8)
    if channels == 1:
        return _from_one_channel(upper[..., 0], base + "8")
    return upper[..., [2, 1, 0]].copy() if base.startswith("bgr") else upper[..., :3].copy()


def raw_depth(message) -> np.ndarray:
    """sensor_msgs/Image of 32FC1 (m) or 16UC1 (mm) -> (H, W) float32 depth, m.

    Raises:
        MessageError: as :func:`picture`.
    """
    if message.encoding == "16UC1":
        depth = _rows(message, np.dtype(_order(message) + "u2"), 1)[..., 0]
        return depth.astype(np.float32) * np.float32(MM)
    depth = _rows(message, np.dtype(_order(message) + "f4"), 1)[..., 0].astype(np.float32)
    return _measured(depth)


def _measured(depth: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(depth) & (depth > 0.0), depth, np.float32(0.0))


def compressed_colour(message) -> np.ndarray:
    """sensor_msgs/CompressedImage (JPEG, PNG) -> (H, W, 3) uint8 RGB.

    Raises:
        MessageError: as :func:`picture`.
    """
    # Some writers turn the channels before they compress and name the result.
    turned = re.search(r"compressed rgba?8", message.format) is not None
    pixels = _decoded(message.data, cv2.IMREAD_COLOR, message.format)
    return pixels if turned else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def compressed_depth(message) -> np.ndarray:
    """sensor_msgs/CompressedImage of compressedDepth (PNG) -> (H, W) float32 depth, m.

    Raises:
        MessageError: as :func:`picture`.
    """
    data = bytes(message.data)
    encoding = message.format.split(";")[0].strip()
    if data[:4] == _PNG:  # without the header, as some writers leave it
        header, body = (0, 0.0, 0.0), data
    elif len(data) > DEPTH_HEADER.size:
        header, body = DEPTH_HEADER.unpack_from(data), data[DEPTH_HEADER.size :]
    else:
        raise MessageError(f"depth image has {len(data)} bytes")
    codes = _decoded(body, cv2.IMREAD_UNCHANGED, message.format)
    if codes.ndim != 2 or codes.dtype != np.uint16:
        raise MessageError(f"depth image holds {codes.dtype} of shape {codes.shape}, not 16 bits")
    if encoding == "16UC1":
        return codes.astype(np.float32) * np.float32(MM)
    _, scale, offset = header  # inverse depth, quantised: code = scale / depth + offset
    if not scale > 0.0 or not np.isfinite([scale, offset]).all():
        raise MessageError(f"depth image has no usable quantisation ({scale}, {offset})")
    with np.errstate(divide="ignore"):
        depth = np.float32(scale) / (codes.astype(np.float32) - np.float32(offset))
    return np.where(codes > 0, _measured(depth), np.float32(0.0))


def _decoded(data, flags: int, name: str) -> np.ndarray:
    buffer = np.frombuffer(data, np.uint8)
    pixels = None
    if buffer.size:
        try:
            pixels = cv2.imdecode(buffer, flags)
        except cv2.error:
            pixels = None
    if pixels is None:
        raise MessageError(f"compressed image ({name!r}, {buffer.size} bytes) cannot be decoded")
    return pixels
