"""What the environment must hold before rclpy creates its first context, unless the user set it.

Transports: shared memory with a segment that holds some camera frames, and UDP. Fast DDS' own
default segment (about 0.5 MB) loses them. Its LARGE_DATA mode has such a segment too, but exchanges
what topics there are over TCP alone, and with Fast DDS 3.2.3 the connection of two processes that
start at the same time sometimes never comes up: each runs, and one never hears of the other's
topics (docs/troubleshooting.md).
"""

from __future__ import annotations

import sys

TRANSPORTS = "FASTDDS_BUILTIN_TRANSPORTS"
# The segment is twice as large.
DEFAULTS = {"AMENT_PREFIX_PATH": sys.prefix, TRANSPORTS: "DEFAULT?sockets_size=4352KB"}
