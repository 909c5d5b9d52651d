"""Pictures of every encoding a bag may hold, and those that are none."""

from __future__ import annotations

import contextlib
import struct

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image

from wm_perception.images import is_depth, picture
from wm_perception.messages import MessageError

# Large areas of one colour each, so that chroma at half resolution and Bayer patterns keep them.
COLOURS = np.array([[200, 30, 60], [20, 180, 90], [40, 60, 220], [128, 128, 128]], np.uint8)
SCENE = np.repeat(np.repeat(COLOURS.reshape(2, 2, 3), 8, 0), 8, 1)
GREY = cv2.cvtColor(SCENE, cv2.COLOR_RGB2GRAY)


def raw(encoding: str, pixels: np.ndarray, pad: int = 0, big: bool = False) -> Image:
    height, width = pixels.shape[:2]
    if big:
        pixels = pixels.byteswap()
    rows = np.ascontiguousarray(pixels).reshape(height, -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, pad)), constant_values=77)
    return Image(
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=int(big),
        step=rows.shape[1],
        data=rows.tobytes(),
    )


def bayer(pattern: str) -> np.ndarray:
    """The scene as a sensor with this pattern of filters sees it."""
    channel = {"r": 0, "g": 1, "b": 2}
    mosaic = np.empty(SCENE.shape[:2], np.uint8)
    for index, colour in enumerate(pattern):
        row, column = divmod(index, 2)
        mosaic[row::2, column::2] = SCENE[row::2, column::2, channel[colour]]
    return mosaic


def yuv(luma_first: bool) -> np.ndarray:
    """ITU-R BT.601 as cameras send it: luma 16 to 235, colour difference of pairs of pixels."""
    weights = [[65.738, 129.057, 25.064], [-37.945, -74.494, 112.439], [112.439, -94.154, -18.285]]
    planes = SCENE @ (np.array(weights).T / 256) + (16, 128, 128)
    planes = np.round(planes).astype(np.uint8)
    chroma = np.where(np.arange(16) % 2, planes[..., 2], planes[..., 1])
    pair = (planes[..., 0], chroma) if luma_first else (chroma, planes[..., 0])
    return np.stack(pair, -1)


def wide(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.uint16) << 8 | 0x33


ALPHA = np.full((16, 16, 1), 255, np.uint8)
ENCODINGS = {
    "rgb8": SCENE,
    "bgr8": SCENE[..., ::-1],
    "rgba8": np.concatenate([SCENE, ALPHA], -1),
    "bgra8": np.concatenate([SCENE[..., ::-1], ALPHA], -1),
    "8UC3": SCENE[..., ::-1],
    "8UC4": np.concatenate([SCENE[..., ::-1], ALPHA], -1),
    "rgb16": wide(SCENE),
    "bgr16": wide(SCENE[..., ::-1]),
    "rgba16": wide(np.concatenate([SCENE, ALPHA], -1)),
    "bgra16": wide(np.concatenate([SCENE[..., ::-1], ALPHA], -1)),
    **{f"bayer_{p}8": bayer(p) for p in ("rggb", "bggr", "gbrg", "grbg")},
    **{f"bayer_{p}16": wide(bayer(p)) for p in ("rggb", "bggr", "gbrg", "grbg")},
    "yuv422": yuv(luma_first=False),
    "uyvy": yuv(luma_first=False),
    "yuv422_yuy2": yuv(luma_first=True),
    "yuyv": yuv(luma_first=True),
}


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_colours_are_the_same_in_every_encoding(encoding, big):
    pixels = picture(raw(encoding, ENCODINGS[encoding], pad=4, big=big))
    assert pixels.shape == (16, 16, 3) and pixels.dtype == np.uint8
    inside = np.ix_((3, 4, 11, 12), (3, 4, 11, 12))  # away from edges, where patterns mix
    tolerance = 3 if "yuv" in encoding or "yuy" in encoding or encoding == "uyvy" else 0
    assert np.abs(pixels[inside].astype(int) - SCENE[inside]).max() <= tolerance


@pytest.mark.parametrize(
    ("encoding", "values"), [("mono8", GREY), ("8UC1", GREY), ("mono16", wide(GREY))]
)
def test_grey_becomes_grey(encoding, values):
    np.testing.assert_array_equal(picture(raw(encoding, values)), np.dstack([GREY] * 3))


@pytest.mark.parametrize("big", [False, True])
def test_depth_is_in_metres(big):
    millimetres = np.array([[0, 1500, 65535], [20, 300, 4000]], np.uint16)
    message = raw("16UC1", millimetres, pad=2, big=big)
    assert is_depth(message)
    np.testing.assert_allclose(picture(message), millimetres / 1000.0, rtol=1e-6)
    metres = np.array([[np.nan, 1.5, np.inf], [-1.0, 0.3, 4.0]], np.float32)
    found = picture(raw("32FC1", metres, big=big))
    np.testing.assert_allclose(found, [[0, 1.5, 0], [0, 0.3, 4.0]], rtol=1e-6)
    assert found.dtype == np.float32


def compressed(pixels: np.ndarray, suffix: str, name: str, header: bytes = b"") -> CompressedImage:
    ok, data = cv2.imencode(suffix, pixels)
    assert ok
    return CompressedImage(format=name, data=header + data.tobytes())


@pytest.mark.parametrize("name", ["png", "rgb8; png compressed bgr8", "bgra8; png compressed bgr8"])
def test_png_is_exact(name):
    message = compressed(SCENE[..., ::-1], ".png", name)
    np.testing.assert_array_equal(picture(message), SCENE)


def test_channels_that_were_turned_before_compression_are_turned_back():
    message = compressed(SCENE, ".png", "rgb8; png compressed rgb8")
    np.testing.assert_array_equal(picture(message), SCENE)


def test_jpeg_and_grey_png():
    found = picture(compressed(SCENE[..., ::-1], ".jpg", "jpeg"))
    assert np.abs(found[4, 4].astype(int) - SCENE[4, 4]).max() < 12
    found = picture(compressed(GREY, ".png", "mono8; png compressed "))
    np.testing.assert_array_equal(found, np.dstack([GREY] * 3))


def test_compressed_depth():
    depth = np.array([[0.5, 2.0, 0.0], [10.0, 1.0, 4.0]], np.float32)
    millimetres = (depth * 1000).astype(np.uint16)
    name = "16UC1; compressedDepth png"
    header = struct.pack("<iff", 0, 0.0, 0.0)
    for message in (compressed(millimetres, ".png", name, header),
                    compressed(millimetres, ".png", name)):  # fmt: skip
        np.testing.assert_allclose(picture(message), depth, rtol=1e-6)
    scale, offset = 100.0 * 101.0, -100.0
    with np.errstate(divide="ignore"):
        codes = np.where(depth > 0, scale / depth + offset, 0).astype(np.uint16)
    header = struct.pack("<iff", 0, scale, offset)
    message = compressed(codes, ".png", "32FC1; compressedDepth png", header)
    np.testing.assert_allclose(picture(message), depth, rtol=1e-2)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (raw("nv99", GREY), "'nv99' is not known; known are"),
        (Image(height=2, width=3, encoding="rgb8", step=9, data=[0] * 7), "7 bytes, expected"),
        (Image(height=2, width=3, encoding="mono16", step=5, data=[0] * 10), "step 5 is less"),
        (Image(encoding="32FC1"), "empty"),
        (Image(height=1, width=3, encoding="yuyv", step=6, data=[0] * 6), "odd number"),
        (Image(height=1, width=1, encoding="bayer_rggb8", step=1, data=[0]), "too small"),
        (CompressedImage(format="jpeg"), "0 bytes"),
        (CompressedImage(format="jpeg", data=[1, 2, 3]), "cannot be decoded"),
        (CompressedImage(format="16UC1; compressedDepth png", data=[1, 2]), "2 bytes"),
        (compressed(SCENE, ".png", "16UC1; compressedDepth"), "not 16 bits"),
        (
            compressed(wide(GREY), ".png", "32FC1; compressedDepth", struct.pack("<iff", 0, 0, 0)),
            "no usable quantisation",
        ),
    ],
)
def test_what_is_no_picture_is_refused(message, text):
    with pytest.raises(MessageError, match=text):
        picture(message)


def test_any_garbage_is_refused_not_crashed_on():
    rng = np.random.default_rng(0)
    good = compressed(SCENE, ".jpg", "jpeg").data
    for _ in range(200):
        data = bytearray(good[: rng.integers(1, len(good))])
        for position in rng.integers(0, len(data), 3):
            data[position] = int(rng.integers(256))
        with contextlib.suppress(MessageError):
            assert picture(CompressedImage(format="jpeg", data=bytes(data))).dtype == np.uint8
