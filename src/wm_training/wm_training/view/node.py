"""The live view of the running graph as one process."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading

import rclpy
from rclpy.signals import SignalHandlerOptions

from wm_perception.node_tools import create_node
from wm_perception.topics import DEFAULT_ROLE
from wm_training.view.graph import GraphSource
from wm_training.view.graph_controls import CONTROLS
from wm_training.view.server import serve

NAME = "wm_view"


def show_graph(bound: socket.socket, role: str = DEFAULT_ROLE, controls: str = CONTROLS[0]) -> None:
    """Serve the page of this ROS domain until SIGINT or SIGTERM.

    Args:
        bound: from :func:`wm_training.view.server.listening_socket`.
        role: role name of the ego vehicle.
        controls: one of ``CONTROLS``.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = create_node(NAME)
    try:
        asyncio.run(serve(GraphSource(node, role, controls), bound, stop.is_set))
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
