"""The diagram of docs/architecture.md: ``python docs/make_architecture.py``.

Boxes and arrows are two tables; the result is docs/images/architecture.svg.
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

FILE = Path(__file__).parent / "images" / "architecture.svg"
WIDTH, HEIGHT, CORNER, LINE = 1000, 610, 8, 17
# Name -> x, y, width, height, kind, lines of text; the first is bold.
BOXES = {
    "source": (40, 30, 920, 96, "group", ("source of the topics: one of three",)),
    "sim": (60, 58, 270, 56, "source", ("wm_sim bridge_node", "built-in simulator")),
    "bridge": (365, 58, 270, 56, "source", ("carla-ros-bridge", "CARLA and its bridge")),
    "native": (670, 58, 270, 56, "source",
               ("CARLA's native ROS 2", "+ something for what it lacks")),
    "perception": (60, 220, 250, 76, "node",
                   ("wm_perception", "messages → frame → observation", "→ encoder, posterior")),
    "planner": (400, 220, 220, 76, "node",
                ("wm_planner", "imagined futures → costs", "→ the best one")),
    "gate": (710, 220, 230, 76, "gate",
             ("wm_gate", "nothing learned: limits, RSS,", "heartbeat, minimal-risk stop")),
    "manager": (380, 160, 260, 30, "small", ("wm_manager: brings the three up",)),
    "imagination": (60, 380, 250, 60, "watch",
                    ("wm_imagination", "expected masks, cameras, surprise")),
    "overlay": (400, 380, 220, 60, "watch", ("wm_overlay", "map, hindsight, road users")),
    "shown": (710, 380, 230, 60, "watch", ("RViz, browser, video", "idle until somebody watches")),
    "recorder": (710, 510, 230, 56, "train", ("recorder_node", "rosbag2 (mcap)")),
    "dataset": (400, 510, 220, 56, "train", ("wm dataset build", "training store")),
    "train": (60, 510, 250, 56, "train", ("wm train", "model directory")),
}  # fmt: skip
# Points of a line, label, where the label is, and whether it is dashed.
ARROWS = (
    (((185, 126), (185, 220)), "odometry, objects, lights, map, route, image", (195, 146), False),
    (((310, 258), (400, 258)), "/wm/latent", (318, 250), False),
    (((620, 258), (710, 258)), "proposal", (638, 250), False),
    (((860, 220), (860, 126)), "vehicle_control_cmd", (720, 206), False),
    (((910, 126), (910, 220)), "odometry", (917, 180), False),
    (((510, 190), (510, 220)), "", (0, 0), True),
    (((185, 296), (185, 380)), "beliefs, masks", (195, 345), False),
    (((470, 296), (310, 395)), "actions", (400, 352), False),
    (((560, 296), (560, 380)), "plan, statistics", (568, 345), False),
    (((620, 410), (710, 410)), "markers", (638, 402), False),
    (((185, 440), (185, 466), (825, 466), (825, 440)), "pictures", (470, 460), False),
    (((960, 78), (980, 78), (980, 538), (940, 538)), "", (0, 0), False),
    (((710, 538), (620, 538)), "", (0, 0), False),
    (((400, 538), (310, 538)), "", (0, 0), False),
    (((60, 538), (25, 538), (25, 258), (60, 258)), "weights", (30, 490), False),
)
COLOURS = {
    "group": ("none", "#9aa3b2"), "source": ("#e8eefb", "#5b7bd5"), "node": ("#e6f5ea", "#3f9d5a"),
    "gate": ("#fdeceb", "#d0504a"), "small": ("#f3f3f3", "#8a8a8a"),
    "watch": ("#f7eafb", "#b65ac8"), "train": ("#fdf4e1", "#cf9a2c"),
}  # fmt: skip


def box(x: int, y: int, width: int, height: int, kind: str, lines: tuple[str, ...]) -> str:
    """One box with its text in the middle; a group has its name above its contents."""
    fill, edge = COLOURS[kind]
    dash = ' stroke-dasharray="5 4"' if kind == "group" else ""
    found = [
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{CORNER}" fill="{fill}" '
        f'stroke="{edge}" stroke-width="1.5"{dash}/>'
    ]
    top = y + 18 if kind == "group" else y + (height - LINE * len(lines)) / 2 + 13
    for row, line in enumerate(lines):
        weight = ' font-weight="bold"' if row == 0 and kind != "group" else ""
        found.append(
            f'<text x="{x + width / 2:g}" y="{top + LINE * row:g}" text-anchor="middle" '
            f'fill="{"#777" if kind == "group" else "#222"}"{weight}>{escape(line)}</text>'
        )
    return "\n".join(found)


def arrow(
    points: tuple[tuple[int, int], ...], label: str, at: tuple[int, int], dashed: bool
) -> str:
    """A line with a head at its end, and its label on a ground that hides what is below."""
    way = " ".join(f"{x},{y}" for x, y in points)
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    line = (
        f'<polyline points="{way}" fill="none" stroke="#555" stroke-width="1.5"{dash} '
        'marker-end="url(#head)"/>'
    )
    words = f'<text x="{at[0]}" y="{at[1]}" fill="#444" font-size="12">{escape(label)}</text>'
    return f"{line}\n{words}" if label else line


def render() -> str:
    """The whole picture."""
    head = (
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#555"/></marker></defs>'
    )
    body = [box(*entry) for entry in BOXES.values()] + [arrow(*entry) for entry in ARROWS]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            'font-family="sans-serif" font-size="13.5" role="img" '
            'aria-label="Nodes of a drive and how data flows between them">',
            head,
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
            *body,
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    FILE.write_text(render())
