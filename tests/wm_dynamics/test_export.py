"""What `wm export` writes: complete or not at all, and refused where parts do not belong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from wm_dynamics.artefact_files import file_sha256
from wm_dynamics.checkpoint import load_checkpoint, save_checkpoint
from wm_dynamics.config import SIZES, ModelConfig
from wm_dynamics.errors import UserError
from wm_dynamics.export.folder import FORMAT, SIDECAR, open_export
from wm_dynamics.export.graph import OPSET
from wm_dynamics.export.write import write_export
from wm_dynamics.heads import HEADS
from wm_dynamics.model import WorldModel
from wm_training.commands import export as command

CONFIG: ModelConfig = SIZES["tiny"].model_copy(update={"ensemble": 3})
STEPS = {"step", "step_checked", "step_sampled"}
FILTER = {"observe", "predict", "perceive", "ego"}


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    save_checkpoint(WorldModel.untrained(CONFIG, seed=4), folder)
    return folder


@pytest.fixture(scope="module")
def whole(model_dir, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("out") / "export"
    write_export(model_dir, out, ("fp32", "fp16"))
    return out


@pytest.fixture
def folder(whole, tmp_path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(whole, tmp_path / "export"))


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def altered(folder: Path, **changes: object) -> Path:
    """``folder`` with other facts in its sidecar."""
    facts = json.loads((folder / SIDECAR).read_text())
    (folder / SIDECAR).write_text(json.dumps(facts | changes))
    return folder


def test_it_is_a_model_directory_with_graphs_beside(model_dir, whole):
    export = open_export(whole, file_sha256(model_dir / "model.safetensors"))
    model = load_checkpoint(whole)
    assert export.hash == model.hash and export.config == CONFIG
    assert set(export.graphs) == FILTER | {f"{s}.{p}" for s in STEPS for p in ("fp32", "fp16")}
    belief = model.initial()
    np.testing.assert_allclose(export.initial["next_deter"], belief.deter, atol=1e-6)
    np.testing.assert_array_equal(export.initial["next_stoch"], belief.stoch)


def test_the_sidecar_says_what_the_graphs_are(whole):
    export = open_export(whole)
    step = export.graphs["step_sampled.fp32"]
    ports = {p.name: (p.dtype, p.shape) for p in (*step.inputs, *step.outputs)}
    assert ports["uniforms"] == ("float32", ("N", CONFIG.groups))
    assert ports["stoch"] == ("int64", ("N", CONFIG.groups))
    assert ports["next_deter"] == ("float32", ("N", CONFIG.deter))
    assert ports["heads"] == ("float32", ("N", len(HEADS)))
    assert {p.name: p.shape for p in export.graphs["step.fp32"].inputs}["member"] == ()
    for name in export.graphs:
        graph = onnx.load_from_string(export.read(name))
        assert [(o.domain, o.version) for o in graph.opset_import] == [("", OPSET)]
        onnx.checker.check_model(graph, full_check=True)
    halves = onnx.load_from_string(export.read("step.fp16")).graph.initializer
    assert {onnx.TensorProto.FLOAT16} < {t.data_type for t in halves}


def test_a_model_of_one_member_has_nothing_to_check(tmp_path):
    single = SIZES["tiny"].model_copy(update={"ensemble": 1})
    save_checkpoint(WorldModel.untrained(single), tmp_path / "model")
    write_export(tmp_path / "model", tmp_path / "export")
    export = open_export(tmp_path / "export")
    assert set(export.graphs) == FILTER | {"step.fp32", "step_sampled.fp32"}
    assert "member" not in {p.name for p in export.graphs["step.fp32"].inputs}


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"format": FORMAT + 1}, "has format"),
        ({"weights_sha256": "0" * 64}, "is not the file"),
        ({"config": {"colour": "red"}}, "cannot be read"),
        ({"graphs": {"step": {}}}, "cannot be read"),
        ({"graphs": None}, "cannot be read"),
    ],
)
def test_a_sidecar_that_does_not_fit_is_refused(folder, changes, reason):
    with pytest.raises(UserError, match=reason):
        open_export(altered(folder, **changes))


def test_other_weights_altered_files_and_missing_ones_are_refused(folder):
    with pytest.raises(UserError, match="other weights"):
        open_export(folder, "0" * 64)
    export = open_export(folder)
    with pytest.raises(UserError, match=r"no graph 'step\.int8'.*--precision"):
        export.read("step.int8")
    graph = folder / "ego.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"?")
    with pytest.raises(UserError, match="is not the file"):
        export.read("ego")
    graph.unlink()
    with pytest.raises(UserError, match="incomplete"):
        export.read("ego")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(UserError, match="is not the file"):
        open_export(folder)
    (folder / SIDECAR).write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        open_export(folder)
    (folder / SIDECAR).unlink()
    with pytest.raises(UserError, match="wm export"):
        open_export(folder)


def test_a_folder_is_replaced_whole_or_not_at_all(model_dir, tmp_path, monkeypatch):
    out = tmp_path / "export"
    write_export(model_dir, out, ("fp16",))
    before = (out / SIDECAR).read_bytes()

    def fail(_: object) -> None:
        raise ArithmeticError("in the middle")

    with monkeypatch.context() as patch:
        patch.setattr("wm_dynamics.export.write.initial_belief", fail)
        with pytest.raises(ArithmeticError):
            write_export(model_dir, out)
    assert (out / SIDECAR).read_bytes() == before and list(tmp_path.iterdir()) == [out]
    write_export(model_dir, out)
    assert {file.stat().st_mode & 0o777 for file in out.iterdir()} == {0o666 & ~umask()}
    assert open_export(out).precisions == ("fp32",) and list(tmp_path.iterdir()) == [out]
    other = tmp_path / "photos"
    other.mkdir()
    (other / "1.jpg").touch()
    with pytest.raises(UserError, match="is no export"):
        write_export(model_dir, other)
    assert [f.name for f in other.iterdir()] == ["1.jpg"]


def test_precisions_that_there_are_not(model_dir, tmp_path):
    with pytest.raises(UserError, match="unknown precision fp8"):
        write_export(model_dir, tmp_path / "export", ("fp8",))
    with pytest.raises(UserError, match="quantiser"):
        write_export(model_dir, tmp_path / "export", ("int8",))
    with pytest.raises(UserError, match="--calibrate"):
        command.main(command.Args(model_dir, tmp_path / "export", ("fp32", "int8")))
    assert not list(tmp_path.iterdir())


def test_the_command_needs_no_torch(model_dir, tmp_path):
    script = (
        "import sys; from wm_training.cli import main\n"
        f"main(['export', '{model_dir}', '--out', '{tmp_path / 'out'}', '--precision', 'bf16'])\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "7 graphs" in done.stdout and open_export(tmp_path / "out").precisions == ("bf16",)


def test_the_commands_own_folder_lies_in_the_model(model_dir, tmp_path, capsys):
    model = Path(shutil.copytree(model_dir, tmp_path / "model"))
    command.main(command.Args(model))
    assert open_export(model / "export").hash in capsys.readouterr().out
