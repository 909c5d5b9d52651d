"""Do processes that start at the same time all hear of each other's topics?

    python benchmarks/discovery.py                             # as the nodes are set up
    python benchmarks/discovery.py --transports LARGE_DATA

Starts a number of ROS processes at once, each with a publisher of its own and a subscription to
everybody's, and counts the starts after which some pair is still not connected. A loaded machine
shows more. Processes of other benchmarks or tests in the same ROS domains would be counted too.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time

from wm_perception.ros_environment import DEFAULTS, TRANSPORTS

PATIENCE_S = 30.0
DOMAINS = (71, 72, 73)  # in turn: what one start leaves behind does not meet the next


def peer(index: int, count: int) -> None:
    """One process: says "connected" once it is with everybody, or "alone" with those it lacks."""
    import rclpy
    from std_msgs.msg import String

    with rclpy.init():
        node = rclpy.create_node(f"peer_{index}")
        publisher = node.create_publisher(String, f"/peer_{index}", 1)
        subscriptions = [
            node.create_subscription(String, f"/peer_{other}", lambda message: None, 1)
            for other in range(count)
        ]
        print("there", flush=True)
        sys.stdin.readline()  # all are there
        end = time.monotonic() + PATIENCE_S
        lacking = [0]
        while lacking and time.monotonic() < end:
            time.sleep(0.05)
            lacking = [i for i, s in enumerate(subscriptions) if not s.get_publisher_count()]
            if publisher.get_subscription_count() < count:
                lacking.append(index)
        print(f"alone: {lacking}" if lacking else "connected", flush=True)
        sys.stdin.readline()  # all have said it
        node.destroy_node()


def start(count: int, environment: dict[str, str]) -> list[str]:
    """What the peers of one start say, in the end."""
    peers = [
        subprocess.Popen(
            [sys.executable, __file__, "--peer", str(index), "--processes", str(count)],
            env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for index in range(count)
    ]  # fmt: skip
    said: list[str] = []
    try:
        for _ in range(2):
            said = [peer.stdout.readline().strip() for peer in peers if peer.stdout]
            for peer in peers:
                assert peer.stdin is not None
                peer.stdin.write("go on\n")
                peer.stdin.flush()
    finally:
        for peer in peers:
            try:
                peer.wait(10)
            except subprocess.TimeoutExpired:
                peer.send_signal(signal.SIGKILL)
                peer.wait()
    return said


def main() -> None:
    """Count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=12)
    parser.add_argument("--processes", type=int, default=10)
    parser.add_argument("--transports", default=DEFAULTS[TRANSPORTS])
    parser.add_argument("--peer", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer is not None:
        peer(args.peer, args.processes)
        return
    failed = 0
    for number in range(args.starts):
        domain = str(DOMAINS[number % len(DOMAINS)])
        environment = {
            **os.environ,
            **DEFAULTS,
            TRANSPORTS: args.transports,
            "ROS_DOMAIN_ID": domain,
        }
        alone = [text for text in start(args.processes, environment) if text != "connected"]
        failed += bool(alone)
        print(f"start {number}: {'; '.join(alone) or 'all connected'}", flush=True)
    print(f"{args.transports}: {failed} of {args.starts} starts of {args.processes} incomplete")


if __name__ == "__main__":
    main()
