"""ROS node: serves the live view of the graph it is in (docs/view.md)."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
from typing import Literal

import rclpy
from pydantic import BaseModel, ConfigDict, Field
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from wm_dynamics.errors import UserError
from wm_perception.node_tools import EXIT_USER_ERROR, create_node, parameters
from wm_training.view.graph import GraphSource
from wm_training.view.server import (
    DEFAULT_HOST,
    DEFAULT_PORT,
    address_of,
    listening_socket,
    serve,
)


class ViewConfig(BaseModel):
    """Parameters of ``view_node``; unknown ones are errors.

    Attributes:
        role_name: role name of the ego vehicle.
        host, port: where to serve; port 0 takes a free one.
        controls: what the page may do to the simulation: all, time (pause and step), none.
        foxglove: serve Foxglove's protocol in place of the page.
    """

    model_config = ConfigDict(extra="forbid")

    role_name: str = Field("ego_vehicle", min_length=1)
    host: str = Field(DEFAULT_HOST, min_length=1)
    port: int = Field(DEFAULT_PORT, ge=0, le=65535)
    controls: Literal["all", "time", "none"] = "all"
    foxglove: bool = False


def main(args: list[str] | None = None, bound: socket.socket | None = None) -> int:
    """Entry point of ``view_node``: serve until SIGINT or SIGTERM.

    No executor runs, so this is not ``node_tools.run``: the view reads its topics when a picture is
    due.

    Args:
        args: command line, default ``sys.argv``.
        bound: where to serve, if somebody has taken the port already.

    Returns:
        The exit status: 0, or 2 after a user error (its text goes to stderr).
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    node = create_node("wm_view")
    try:
        config = parameters(node, ViewConfig)
        if config.foxglove:
            _serve_foxglove(node, config, stop)
            return 0
        with bound or listening_socket(config.host, config.port) as place:
            node.get_logger().info(f"live view: {address_of(place)}")
            source = GraphSource(node, config.role_name, config.controls)
            asyncio.run(serve(source, place, stop.is_set))
    except UserError as error:
        print(f"FATAL: {error}", file=sys.stderr, flush=True)
        return EXIT_USER_ERROR
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _serve_foxglove(node: Node, config: ViewConfig, stop: threading.Event) -> None:
    from wm_training.view.foxglove_bridge import FoxgloveBridge

    listening_socket(config.host, config.port).close()  # says clearly that a port is in use

    def say(port: int) -> None:
        print(f"Foxglove: open a connection to ws://{config.host}:{port}", flush=True)

    bridge = FoxgloveBridge(node, config.role_name)
    bridge.serve(config.host, config.port, stop.is_set, say)


if __name__ == "__main__":
    sys.exit(main())
