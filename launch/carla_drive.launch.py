"""Everything that drives, under ros2 launch.

ros2 launch wm_planner carla_drive.launch.py                        # embedded simulator
ros2 launch wm_planner carla_drive.launch.py source:=carla_bridge role_name:=hero
ros2 launch wm_planner carla_drive.launch.py --show-args

Arguments and nodes come from wm_planner.node_table, which `wm drive` reads too.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import get_args

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, Shutdown
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from wm_dynamics.errors import UserError
from wm_planner.node_table import (
    DriveOptions,
    NodeSpec,
    drive_options,
    node_table,
    notes,
    resolve_model,
)
from wm_planner.process import node_environment


def node_action(spec: NodeSpec) -> Node:
    """One row of the node table as a launch action."""
    ours = bool(spec.module)
    defaults = node_environment(Path())
    del defaults["ROS_LOG_DIR"]  # launch has its own
    return Node(
        package=spec.package,
        executable=spec.executable,
        name=spec.name,
        parameters=[*([str(spec.config)] if spec.config else []), spec.parameters] if ours else [],
        remappings=list(spec.remaps),
        arguments=list(spec.arguments),
        additional_env={k: v for k, v in defaults.items() if k not in os.environ},
        output="screen",
        on_exit=partial(ended, spec.key) if spec.essential else None,
    )


def ended(key: str, event: ProcessExited, context: LaunchContext) -> Shutdown | None:
    """An essential node has ended: end the others, and fail unless it was asked to."""
    if context.is_shutdown:
        return None
    if event.returncode:
        raise RuntimeError(f"node '{key}' ended with status {event.returncode}, see above")
    return Shutdown(reason=f"node '{key}' has ended")


def start(context: LaunchContext) -> list:
    """The actions for the arguments given."""
    values = {
        name: LaunchConfiguration(name).perform(context) for name in DriveOptions.model_fields
    }
    try:
        options = drive_options(values)
        model_dir = resolve_model(options, Path(tempfile.mkdtemp(prefix="wm_drive_")))
        specs = node_table(options, model_dir)
    except UserError as error:
        raise SystemExit(f"error: {error}") from None
    found = [spec for spec in specs if spec.module or shutil.which(spec.executable)]
    return [*(LogInfo(msg=note) for note in notes(options)), *map(node_action, found)]


def generate_launch_description() -> LaunchDescription:
    """Called by ros2 launch."""
    arguments = [
        DeclareLaunchArgument(
            name,
            default_value=str(field.default),
            description=field.description,
            choices=list(get_args(field.annotation)) or None,
        )
        for name, field in DriveOptions.model_fields.items()
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=start)])
