"""Refuses files that are not usable OpenDRIVE, before a library trips over them."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from pathlib import Path

from wm_dynamics.errors import UserError

MAX_BYTES = 64 << 20
MAX_ROAD_M = 100e3
MAX_TOTAL_M = 5000e3
MAX_COORDINATE_M = 1e6
_NUMBERS = {
    "road": ("length",),
    "geometry": ("s", "x", "y", "hdg", "length"),
    "width": ("sOffset", "a", "b", "c", "d"),
    "laneOffset": ("s", "a", "b", "c", "d"),
    "laneSection": ("s",),
    "elevation": ("s", "a", "b", "c", "d"),
}


def _check_numbers(root: ET.Element, name: str) -> None:
    """All numbers of the geometry are finite."""
    for tag, attributes in _NUMBERS.items():
        for element in root.iter(tag):
            for attribute in attributes:
                text = element.get(attribute)
                try:
                    finite = text is not None and math.isfinite(float(text))
                except ValueError:
                    finite = False
                if not finite:
                    raise UserError(f"{name}: <{tag}> has {attribute}={text!r}, not a number")


def _check_roads(root: ET.Element, name: str) -> None:
    """Ids, lengths and places with which libraries end, hang or fill the memory otherwise."""
    ids, total = set(), 0.0
    for road in root.iter("road"):
        number, length = road.get("id", ""), float(road.attrib["length"])
        total += length
        if not number.isdecimal() or number in ids:
            raise UserError(f"{name}: road id {number!r} is not a whole number of its own")
        ids.add(number)
        geometries = road.findall("planView/geometry")
        if not geometries or road.find("lanes/laneSection") is None:
            raise UserError(f"{name}: road {number} has no geometry or no lanes")
        lengths = [length, *(float(g.attrib["length"]) for g in geometries)]
        if not all(0.0 <= value <= MAX_ROAD_M for value in lengths) or length == 0.0:
            raise UserError(f"{name}: road {number} has an impossible length")
        places = [abs(float(g.attrib[axis])) for g in geometries for axis in "xy"]
        if max(places) > MAX_COORDINATE_M:
            raise UserError(f"{name}: road {number} lies more than 1000 km from the origin")
    if total > MAX_TOTAL_M:
        raise UserError(f"{name}: {total / 1e3:.0f} km of road are too many")


def read_opendrive(path: Path) -> str:
    """The text of an OpenDRIVE file with driving lanes and finite geometry.

    Raises:
        UserError: it is not one; the message says why.
    """
    try:
        data = path.read_bytes() if path.stat().st_size <= MAX_BYTES else None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    if data is None:
        raise UserError(f"{path.name} is larger than {MAX_BYTES >> 20} MB")
    if not data.strip():
        raise UserError(f"{path.name} is empty")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path.name} is not text (UTF-8), so not OpenDRIVE") from None
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise UserError(f"{path.name} declares XML entities, which OpenDRIVE does not use")
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise UserError(f"{path.name} is not well-formed XML, perhaps cut off: {error}") from None
    if root.tag != "OpenDRIVE":
        raise UserError(f"{path.name} is XML, but its root is <{root.tag}>, not <OpenDRIVE>")
    if root.find("road/planView/geometry") is None:
        raise UserError(f"{path.name} holds no road with a geometry")
    if not any(lane.get("type") == "driving" for lane in root.iter("lane")):
        raise UserError(f"{path.name} holds no driving lane")
    _check_numbers(root, path.name)
    _check_roads(root, path.name)
    return text
