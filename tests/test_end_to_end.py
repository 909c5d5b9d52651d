"""From a recorded drive to a model that drives, through the command line, on the small town."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor

from wm_dynamics.checkpoint import load_checkpoint
from wm_perception.topics import topic
from wm_training.store import Store

pytestmark = pytest.mark.ros

STABLE_KEYS = {
    "route_completion", "driving_score", "collisions_per_km", "red_lights_per_km",
    "offroad_fraction", "plan_ms_p50", "plan_ms_p99", "deadline_miss_rate", "routes", "seed",
    "model", "suite", "driver",
}  # fmt: skip
TIME_LIMIT_S = 8.0
# An endpoint may be discovered a moment before the name of its node.
NOT_YET_DISCOVERED = "_NODE_NAME_UNKNOWN_"


@contextmanager
def listening(domain_id: int) -> Iterator[tuple[set[str], Counter[str]]]:
    """Hashes of the models whose latents are heard, and who publishes proposals, meanwhile."""
    hashes: set[str] = set()
    proposals: Counter[str] = Counter()
    with rclpy.init(domain_id=domain_id):
        node = rclpy.create_node("listener")
        latent, proposal = topic("latent"), topic("control_proposal")

        def on_proposal(message) -> None:
            senders = node.get_publishers_info_by_topic(proposal.name())
            proposals.update(s.node_name for s in senders if s.node_name != NOT_YET_DISCOVERED)

        node.create_subscription(
            latent.message_type(),
            latent.name(),
            lambda message: hashes.add(message.model_hash),
            latent.subscriber_qos(),
        )
        node.create_subscription(
            proposal.message_type(), proposal.name(), on_proposal, proposal.subscriber_qos()
        )
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        thread = threading.Thread(target=executor.spin)
        thread.start()
        try:
            yield hashes, proposals
        finally:
            executor.shutdown()
            thread.join()
            node.destroy_node()


def test_record_build_train_drive(ros_domain, tmp_path):
    def wm(*arguments: str, limit_s: float) -> str:
        command = [sys.executable, "-m", "wm_training.cli", *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=ros_domain.env, capture_output=True, text=True,
            timeout=limit_s,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    town = ("--town", "tiny", "--routes", "1", "--traffic", "4")

    assert "route 0: completed, 100 %" in wm("record", "bag", *town, limit_s=240)

    wm("dataset", "build", "bag", "--out", "store", limit_s=120)
    store = Store.open(tmp_path / "store")
    assert store.frames > 300
    assert store.label("progress").sum() > 300.0, "the whole route is in the store"
    assert store.label("collision").sum() == store.label("red_violation").sum() == 0

    budget = ("--steps", "30", "--ego-steps", "60", "--batch", "4", "--threads", "1")
    wm("train", "--data", "store", "--out", "model", "--size", "tiny", *budget, limit_s=240)
    model = load_checkpoint(tmp_path / "model")
    assert model.metadata["data_hash"] == store.hash

    with listening(ros_domain.id) as (hashes, proposals):
        limits = ("--time-limit-s", str(TIME_LIMIT_S), "--no-video", "--no-camera")
        wm("drive", *town, "--model", "model", *limits, "--json", "out.json", limit_s=240)
    assert hashes == {model.hash}, "the planner takes no latent of another model"
    assert set(proposals) == {"wm_planner"}
    assert proposals["wm_planner"] > 5.0 * TIME_LIMIT_S

    report = json.loads((tmp_path / "out.json").read_text())
    assert set(report["summary"]) >= STABLE_KEYS
    assert report["summary"]["model"] == "model"
    assert report["summary"]["plan_ms_p50"] > 0.0
    (route,) = report["routes"]
    assert (route["town"], route["route"]) == ("tiny", 0)
    assert 0.0 < route["duration_s"] <= TIME_LIMIT_S + 0.2
