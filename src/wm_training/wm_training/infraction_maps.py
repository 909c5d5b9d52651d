"""Maps of a town with the infractions of a drive on them, as SVG."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from functools import lru_cache

import cv2
import numpy as np

from wm_perception.town_map import PIXELS_PER_M, TownMap
from wm_sim.routes import route_list
from wm_sim.town_files import load_town
from wm_training.infractions import KINDS, Infraction
from wm_training.scoring import RouteResult

SIMPLIFY_PX = 1.2  # of the road's outline, a quarter of a metre each
MARK_SHARE = 0.011  # size of a mark, of the town's larger side
ROUTE_POINT_M = 4
# Kind -> (colour, shape): the shape tells them apart without the colour.
MARKS = {
    "collision_person": ("#8e24aa", "circle"),
    "collision_vehicle": ("#d32f2f", "circle"),
    "collision_static": ("#6d4c41", "circle"),
    "red_light": ("#f57c00", "square"),
    "off_road": ("#0277bd", "triangle"),
    "off_route": ("#00695c", "diamond"),
    "blocked": ("#455a64", "cross"),
    "timeout": ("#9e9d24", "cross"),
}


@lru_cache(maxsize=8)
def town_map(town: str) -> TownMap:
    """The map of a town.

    Raises:
        UserError: there is no such town.
    """
    return TownMap.from_opendrive(load_town(town).xodr_text, town)


def _path(points: np.ndarray, closed: bool) -> str:
    """SVG path of (n, 2) map points; y grows downwards there."""
    text = "L".join(f"{x:.1f} {-y:.1f}" for x, y in points)
    return f"M{text}{'Z' if closed else ''}"


def road_path(town: TownMap) -> str:
    """The drivable surface as one SVG path (fill rule even-odd), map metres."""
    outlines, _ = cv2.findContours(town.road, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    parts = []
    for outline in outlines:
        pixels = cv2.approxPolyDP(outline, SIMPLIFY_PX, True)[:, 0].astype(float)
        if len(pixels) < 3:
            continue
        pixels[:, 1] = town.road.shape[0] - pixels[:, 1]
        parts.append(_path(pixels / PIXELS_PER_M + town.origin, closed=True))
    return "".join(parts)


def town_symbol(town: str) -> str:
    """The road of a town, for all maps of it on a page; see :func:`infraction_map`."""
    path = road_path(town_map(town))
    return (
        f"<svg width='0' height='0' style='position:absolute'><defs><path id='road-{town}' "
        f"fill='#d5d8dc' fill-rule='evenodd' d='{path}'/></defs></svg>"
    )


def infraction_map(town: str, results: Sequence[RouteResult], standalone: bool = False) -> str:
    """An SVG of one town: the routes that were driven and every infraction on them.

    Args:
        town: name.
        results: drives; those of other towns are left out.
        standalone: draw the road too; else the page must hold :func:`town_symbol`.

    Raises:
        UserError: there is no such town.
    """
    here = [r for r in results if r.town == town]
    plan = town_map(town)
    height, width = (n / PIXELS_PER_M for n in plan.road.shape)
    left, top = plan.origin[0], -(plan.origin[1] + height)
    size = MARK_SHARE * max(width, height)
    marks = [
        _mark(i, r, size) for kind in reversed(KINDS) for r in here for i in r.infractions
        if i.kind == kind
    ]  # fmt: skip
    road = (
        f"<path fill='#d5d8dc' fill-rule='evenodd' d='{road_path(plan)}'/>"
        if standalone
        else f"<use href='#road-{town}'/>"
    )
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' class='map' role='img' "
        f"viewBox='{left:.1f} {top:.1f} {width:.1f} {height:.1f}'>{road}"
        f"<g fill='none' stroke='#5c9bd1' stroke-opacity='.55' stroke-width='{size / 3:.2f}'>"
        f"{_routes(here)}</g>{''.join(marks)}</svg>"
    )


def _routes(results: Iterable[RouteResult]) -> str:
    """The ways of the drives, each once; of the towns' plain routes only."""
    driven = dict.fromkeys((r.town, r.route) for r in results if not r.scenario)
    lines = [route_list(town)[route].points[::ROUTE_POINT_M] for town, route in driven]
    return "".join(f"<path d='{_path(points, closed=False)}'/>" for points in lines)


def _mark(infraction: Infraction, result: RouteResult, size: float) -> str:
    x, y = infraction.x, -infraction.y
    colour, shape = MARKS[infraction.kind]
    fault = "" if infraction.at_fault else ", not at fault"
    title = html.escape(
        f"{infraction.kind.replace('_', ' ')}{fault}: route {result.route}, seed {result.seed}, "
        f"after {infraction.time_s:.0f} s, {infraction.station_m:.0f} m"
    )
    style = f"fill='{colour}' stroke='#fff' stroke-width='{size / 6:.2f}'"
    return f"<g {style}><title>{title}</title>{shape_at(shape, x, y, size)}</g>"


def shape_at(shape: str, x: float, y: float, size: float) -> str:
    """An SVG shape around a point; ``size`` is half its extent."""
    if shape == "circle":
        return f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{size:.2f}'/>"
    corners = {
        "square": [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
        "triangle": [(0, -1.1), (1.05, 0.8), (-1.05, 0.8)],
        "diamond": [(0, -1.2), (1.2, 0), (0, 1.2), (-1.2, 0)],
        "cross": [(-0.4, -1.1), (0.4, -1.1), (0.4, -0.4), (1.1, -0.4), (1.1, 0.4), (0.4, 0.4),
                  (0.4, 1.1), (-0.4, 1.1), (-0.4, 0.4), (-1.1, 0.4), (-1.1, -0.4), (-0.4, -0.4)],
    }[shape]  # fmt: skip
    points = " ".join(f"{x + size * dx:.2f},{y + size * dy:.2f}" for dx, dy in corners)
    return f"<polygon points='{points}'/>"


def legend() -> str:
    """What the marks mean."""
    items = []
    for kind, (colour, shape) in MARKS.items():
        drawing = f"<g fill='{colour}'>{shape_at(shape, 8, 8, 6)}</g>"
        items.append(
            f"<span><svg width='16' height='16' viewBox='0 0 16 16'>{drawing}</svg> "
            f"{kind.replace('_', ' ')}</span>"
        )
    return f"<p class='legend'>{' '.join(items)}</p>"
