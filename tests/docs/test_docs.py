"""README and docs quote only links, files, commands and options that exist."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import re
import shlex
import typing
from pathlib import Path

import pytest
import tyro
from pages import PAGES, ROOT, anchors, inline_code, name_of, prose, shell_lines

from wm_planner.node_table import DriveOptions, drive_options
from wm_training.cli import COMMANDS

FOLDERS = "src|config|docs|launch|tests|models|docker|benchmarks|build_backend"
# Options of programs that are not ours.
FOREIGN_OPTIONS = {"--extra-index-url", "--help", "--logdir", "--ros-args", "--show-args"}
# Launch arguments of carla_ros_bridge.
BRIDGE_ARGUMENTS = {
    "ego_vehicle_role_name",
    "fixed_delta_seconds",
    "synchronous_mode_wait_for_vehicle_control_command",
}

each_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


@each_page
def test_links_lead_somewhere(page: Path):
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"\w+:", target):
            continue
        path, _, fragment = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists() or (fragment and fragment not in anchors(file)):
            broken.append(target)
    assert not broken


@each_page
def test_paths_exist(page: Path):
    quoted = [c.split(":=")[-1] for c in inline_code(page)]
    paths = [c for c in quoted if re.fullmatch(rf"({FOLDERS})(/[\w./*-]*)?", c)]
    assert not [path for path in paths if not list(ROOT.glob(path.rstrip("/")))]


# ------------------------------------------------------------------ commands


def arguments_of(command: str) -> type:
    """The class of a command's arguments; "train behavior" is a command, too."""
    return importlib.import_module(f"wm_training.commands.{command.replace(' ', '_')}").Args


def options_of(command: str) -> set[str]:
    """Option names of a ``wm`` sub-command, those of its actions included."""
    names: set[str] = set()
    waiting = [arguments_of(command)]
    while waiting:
        holder = waiting.pop()
        for name, kind in typing.get_type_hints(holder).items():
            option = name.replace("_", "-")
            names |= {f"--{option}", *([f"--no-{option}"] if kind is bool else [])}
            if dataclasses.is_dataclass(kind):  # a group: --group.option
                inner = [field.name.replace("_", "-") for field in dataclasses.fields(kind)]
                names |= {f"--{option}.{name}" for name in inner}
            waiting += [k for k in typing.get_args(kind) if dataclasses.is_dataclass(k)]
    return names


def check_wm(words: list[str], whole: bool) -> None:
    """``words`` follow ``wm``; a whole command is parsed as the program would."""
    length = 2 if " ".join(words[:2]) in COMMANDS else 1
    command, rest = " ".join(words[:length]), words[length:]
    if command == "COMMAND":
        return
    assert command in COMMANDS, f"no command wm {command}"
    if whole:
        args = arguments_of(command)
        tyro.cli(args, args=rest, prog=f"wm {command}")
    unknown = {w for w in rest if w.startswith("--")} - options_of(command)
    assert not unknown, f"wm {command} has no {unknown}"


def check_command(words: list[str]) -> None:
    """A line of a shell block: whatever of it is ours must exist."""
    match words:
        case ["wm", *rest]:
            check_wm(rest, whole=True)
        case ["make", *targets]:
            targets = [t for t in targets if "=" not in t]
            assert set(targets) <= set(make_targets()), f"no make target {targets}"
        case ["python", "-m", module, *_]:
            assert importlib.util.find_spec(module), f"no module {module}"
        case ["ros2", "launch", "wm_planner", file, *arguments]:
            assert (ROOT / "launch" / file).is_file()
            pairs = [a.split(":=", 1) for a in arguments if ":=" in a]
            drive_options(dict(pairs))
        case ["ros2", "run", package, executable, *_] if package.startswith("wm_"):
            assert (ROOT / "src" / package / "scripts" / executable).is_file()


def make_targets() -> list[str]:
    return re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M)


def without_environment(line: str) -> list[str]:
    words = shlex.split(line, comments=True)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    return words


@each_page
def test_shell_blocks_are_commands_that_exist(page: Path, capsys):
    for line in shell_lines(page):
        try:
            check_command(without_environment(line))
        except SystemExit:
            pytest.fail(f"{line}: {capsys.readouterr()}")


@each_page
def test_inline_commands_exist(page: Path):
    for code in inline_code(page):
        words = without_environment(code) if "'" not in code else []
        if words[:1] == ["wm"] and len(words) > 1:
            whole = words[1] == "dataset" and len(words) > 3
            check_wm(words[1:], whole)
        elif words[:1] in (["make"], ["python"], ["ros2"]):
            check_command(words)


@each_page
def test_inline_options_exist(page: Path):
    known = set().union(*map(options_of, COMMANDS)) | FOREIGN_OPTIONS
    ours = [code for code in inline_code(page) if not code.startswith("python ")]  # see above
    quoted = {word for code in ours for word in code.split() if word.startswith("--")}
    assert not {word.strip('",') for word in quoted} - known


@each_page
def test_launch_arguments_exist(page: Path):
    quoted = {m for code in inline_code(page) for m in re.findall(r"^([a-z_]+):=", code)}
    assert not quoted - set(DriveOptions.model_fields) - BRIDGE_ARGUMENTS
