"""Write wheels: the zip layout, the RECORD and the tags of the binary distribution format."""

from __future__ import annotations

import base64
import hashlib
import sys
import sysconfig
import zipfile
from pathlib import Path, PurePath
from types import TracebackType

EPOCH = (1980, 1, 1, 0, 0, 0)


def platform_tag() -> str:
    """Tag of wheels that hold libraries compiled for this interpreter and machine."""
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return f"{python}-{python}-{platform}"


def platform_wheel_name(wheel_name: str) -> str:
    """``name-version-<any tag>.whl`` with the tag of this platform."""
    name, version = wheel_name.split("-")[:2]
    return f"{name}-{version}-{platform_tag()}.whl"


class WheelWriter:
    """A wheel being written; the RECORD is made when the context ends without an error.

    Args:
        path: the wheel file, ``name-version-tag.whl``. It appears only when it is complete.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_suffix(".part")
        self._stem = "-".join(path.name.split("-")[:2])
        self._record: list[str] = []
        self._zip = zipfile.ZipFile(self._partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1)

    def __enter__(self) -> WheelWriter:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error_type is not None:
            self._zip.close()
            self._partial.unlink()
            return
        fields = ["Wheel-Version: 1.0", "Generator: wm_build", "Root-Is-Purelib: false"]
        text = "\n".join([*fields, f"Tag: {platform_tag()}", ""])
        self.add_bytes(text.encode(), f"{self._stem}.dist-info/WHEEL")
        record = f"{self._stem}.dist-info/RECORD"
        self._zip.writestr(record, "\n".join([*self._record, f"{record},,"]) + "\n")
        self._zip.close()
        self._partial.replace(self._path)

    def add_bytes(self, data: bytes, name: str | PurePath, mode: int = 0o644) -> None:
        """Add ``data`` as ``name``, a path relative to site-packages."""
        name = PurePath(name).as_posix()
        info = zipfile.ZipInfo(name, EPOCH)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = (0o100000 | mode) << 16
        self._zip.writestr(info, data)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        self._record.append(f"{name},sha256={digest},{len(data)}")

    def add_file(self, file: Path, name: str | PurePath) -> None:
        """Add a file with its permission bits as ``name``, a path relative to site-packages."""
        if self._is_ours(PurePath(name)):
            return
        self.add_bytes(file.read_bytes(), name, file.stat().st_mode & 0o777)

    def add_data(self, file: Path, destination: str | PurePath) -> None:
        """Add a file that installs to ``destination``, relative to the prefix."""
        self.add_file(file, PurePath(f"{self._stem}.data", "data", destination))

    def add_wheel(self, path: Path) -> None:
        """Add every file of another wheel of the same distribution, except its RECORD and WHEEL."""
        with zipfile.ZipFile(path) as other:
            for info in other.infolist():
                if not info.is_dir() and not self._is_ours(PurePath(info.filename)):
                    mode = (info.external_attr >> 16) & 0o777
                    self.add_bytes(other.read(info), info.filename, mode or 0o644)

    def _is_ours(self, name: PurePath) -> bool:
        return name.parent.name.endswith(".dist-info") and name.name in ("RECORD", "WHEEL")
