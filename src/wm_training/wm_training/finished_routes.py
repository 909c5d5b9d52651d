"""Routes that an evaluation has finished, in a file that outlives it.

``<report>.partial`` is JSON by the line: first what was asked for, then one line per route. A line
is written at once and counts only when it is whole, so the file may end anywhere.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wm_dynamics.errors import UserError
from wm_training.evaluation import Drive
from wm_training.summary import read_result


def partial_path(report: Path) -> Path:
    """Where the finished routes of a report are kept until it is written."""
    return report.with_name(report.name + ".partial")


class FinishedRoutes:
    """The file of one evaluation.

    Args:
        path: the file; made, with its folder, if it is not there.
        asked: what determines the results, JSON-compatible; a file for anything else is refused.

    Attributes:
        drives: number of the task -> its drive, as found in the file.

    Raises:
        UserError: the file belongs to another evaluation.
    """

    def __init__(self, path: Path, asked: dict[str, Any]):
        self._path = path
        self.drives: dict[int, Drive] = {}
        self._asked = json.loads(json.dumps(asked))
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        if lines:
            self._read(lines)
        whole = sum(len(line) + 1 for line in lines)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        os.ftruncate(self._file, whole)
        os.lseek(self._file, 0, os.SEEK_END)
        if not lines:
            self._write(self._asked)

    def _read(self, lines: list[bytes]) -> None:
        try:
            found, *rows = [json.loads(line) for line in lines]
        except ValueError:
            raise UserError(f"{self._path} is damaged; remove it to begin anew") from None
        if found != self._asked:
            different = ", ".join(_differences(found, self._asked))
            raise UserError(
                f"{self._path} holds routes that were driven with other settings ({different}). "
                "Repeat that command to go on with it, or remove the file to begin anew"
            )
        for row in rows:
            result = read_result(row["result"])
            self.drives[row["task"]] = Drive(result, row["plan_ms"])

    def add(self, number: int, drive: Drive) -> None:
        """Note a finished route."""
        plan_ms = [round(ms, 3) for ms in drive.plan_ms]
        self._write({"task": number, "result": asdict(drive.result), "plan_ms": plan_ms})

    def _write(self, row: dict[str, Any]) -> None:
        os.write(self._file, json.dumps(row).encode() + b"\n")
        os.fsync(self._file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _differences(old: Any, new: Any, place: str = "") -> list[str]:
    """Where two JSON values differ, with both values."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            text
            for key in dict.fromkeys([*old, *new])
            for text in _differences(old.get(key), new.get(key), f"{place}.{key}".lstrip("."))
        ]
    return [] if old == new else [f"{place}: {_short(old)}, now {_short(new)}"]


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
