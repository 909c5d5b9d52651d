"""Set-up builds the C++ engine, and goes on without it where there is no compiler."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from wm_build import hooks
from wm_build.wheel import WheelWriter


def wheel_with_engine(folder: Path) -> list[str]:
    path = folder / "thing-1.0-any.whl"
    with WheelWriter(path) as wheel:
        hooks._add_engine(wheel)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder / "site")
        return [name for name in archive.namelist() if ".dist-info" not in name]


def test_without_a_compiler_set_up_goes_on_and_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert wheel_with_engine(tmp_path) == []
    said = capsys.readouterr().err
    assert "no C++ engine, imagination will run in torch" in said and "no-such-compiler" in said


@pytest.mark.slow
def test_the_wheel_has_an_engine_that_imports(tmp_path):
    names = wheel_with_engine(tmp_path)
    assert len(names) == 1 and names[0].startswith("_wm_runtime.")
    code = "import _wm_runtime; assert 'portable' in _wm_runtime.instruction_sets()"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "site", check=True)
