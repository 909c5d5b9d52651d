"""Child process of test_messages.py: sends every message back, one topic pair a type."""

from __future__ import annotations

import contextlib
import sys
from importlib import import_module

import rclpy
from rclpy.executors import ExternalShutdownException


def main(type_names: list[str]) -> None:
    rclpy.init()
    node = rclpy.create_node("echo")
    for name in type_names:
        package, message = name.split("/")
        message_type = getattr(import_module(f"{package}.msg"), message)
        publisher = node.create_publisher(message_type, f"/{package}/back", 10)
        node.create_subscription(message_type, f"/{package}/there", publisher.publish, 10)
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)


if __name__ == "__main__":
    main(sys.argv[1:])
