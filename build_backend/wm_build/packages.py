"""Message packages of the tree: what they hold, what they need, in which order they build."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

KINDS = ("msg", "srv")
# Every service has an event message and every message a time stamp type within reach.
IMPLIED_DEPENDS = ("builtin_interfaces", "service_msgs")


@dataclass(frozen=True)
class InterfacePackage:
    """A folder with ``package.xml`` and interface files under ``msg/`` and ``srv/``."""

    name: str
    path: Path
    depends: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> InterfacePackage:
        """Read ``path/package.xml``."""
        return cls(_package_name(path), path, tuple(_package_depends(path)))

    def files(self) -> list[Path]:
        """Interface files, relative to the package folder."""
        found = [file for kind in KINDS for file in self.path.glob(f"{kind}/*.{kind}")]
        return sorted(file.relative_to(self.path) for file in found)


def discover_interfaces(root: Path) -> list[InterfacePackage]:
    """Find interface packages anywhere below ``root``; dependencies come before their users."""
    found = {}
    for manifest in sorted(root.rglob("package.xml")):
        package = InterfacePackage.read(manifest.parent)
        if package.files():
            found[package.name] = package
    ordered: dict[str, InterfacePackage] = {}

    def visit(package: InterfacePackage, users: tuple[str, ...]) -> None:
        if package.name in users:
            raise ValueError(f"message packages depend on each other: {' > '.join(users)}")
        for name in package.depends:
            if name in found:
                visit(found[name], (*users, package.name))
        ordered.setdefault(package.name, package)

    for package in found.values():
        visit(package, ())
    return list(ordered.values())


def dependency_closure(package: InterfacePackage, prefixes: list[Path]) -> dict[str, Path]:
    """All interface packages that ``package`` needs, directly or not: name to share folder."""
    closure: dict[str, Path] = {}
    todo = [*package.depends, *IMPLIED_DEPENDS]
    while todo:
        name = todo.pop()
        share = next((p / "share" / name for p in prefixes if (p / "share" / name).is_dir()), None)
        if share is None:
            raise RuntimeError(
                f"{package.name} depends on {name}, which is neither here nor installed: add "
                f"ros-kilted-{name.replace('_', '-')} to build-system.requires in pyproject.toml"
            )
        if name not in closure and any(share.glob("*/*.idl")):
            closure[name] = share
            todo += [n for n in _package_depends(share) if n not in closure and _has(n, prefixes)]
    return closure


def _has(name: str, prefixes: list[Path]) -> bool:
    return any((prefix / "share" / name).is_dir() for prefix in prefixes)


def _package_name(path: Path) -> str:
    name = ElementTree.parse(path / "package.xml").findtext("name")
    if not name:
        raise ValueError(f"{path / 'package.xml'} has no <name>")
    return name.strip()


def _package_depends(path: Path) -> list[str]:
    tree = ElementTree.parse(path / "package.xml")
    tags = ("depend", "build_depend", "exec_depend", "build_export_depend")
    names = {element.text.strip() for tag in tags for element in tree.findall(tag) if element.text}
    return sorted(names - {"rosidl_default_runtime"})
