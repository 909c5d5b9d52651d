"""Which of the table's topics each node of the stack publishes and reads.

For the documentation and for tests, which hold it against a running graph; no node reads it.
"""

from __future__ import annotations

from dataclasses import dataclass

from wm_perception.topics import FRAME_KEYS


@dataclass(frozen=True)
class NodeTopics:
    """Keys of ``wm_perception.topics``.

    Attributes:
        publishes: by the node.
        reads: while it is configured; of a node that draws, while somebody watches.
    """

    publishes: tuple[str, ...]
    reads: tuple[str, ...]


NODE_TOPICS = {
    "wm_perception": NodeTopics(("latent", "bev_mask", "diagnostics"), FRAME_KEYS),
    "wm_planner": NodeTopics(
        (
            "control_proposal",
            "plan_statistics",
            "imagined_rollouts",
            "markers",
            "plan",
            "diagnostics",
        ),
        ("latent",),
    ),
    "wm_gate": NodeTopics(
        ("vehicle_control_cmd", "safety_state", "diagnostics"),
        (
            "status",
            "vehicle_info",
            "waypoints",
            "ego_objects",
            "speedometer",
            "odometry",
            "control_proposal",
        ),
    ),
    "wm_manager": NodeTopics(("diagnostics",), ("diagnostics",)),
    "wm_overlay": NodeTopics(
        ("overlay", "map_markers", "diagnostics"),
        (
            "ego_objects",
            "safety_state",
            "plan_statistics",
            "plan",
            "odometry",
            "world_info",
            "map",
        ),
    ),
    "wm_imagination": NodeTopics(
        ("bev", "surprise_map", "imagined_bev", "imagined_camera", "diagnostics"),
        ("latent", "bev_mask", "imagined_rollouts"),
    ),
}
