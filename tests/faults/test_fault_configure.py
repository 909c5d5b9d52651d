"""A model that cannot be loaded: configure fails, the node lives and says why, and tries again."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fault_graph import is_warning
from fault_watch import Watch
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState

from wm_dynamics.checkpoint import save_checkpoint
from wm_dynamics.config import SIZES
from wm_dynamics.model import WorldModel

pytestmark = pytest.mark.ros


def missing(folder: Path) -> None:
    """No weights."""
    (folder / "model.safetensors").unlink()


def corrupt(folder: Path) -> None:
    """Half of the weights, under the hash of all."""
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:5000])


def other_hash(folder: Path) -> None:
    """Other weights than the metadata describes."""
    save_checkpoint(WorldModel.untrained(SIZES["tiny"], seed=1), folder.parent / "other")
    shutil.copy(folder.parent / "other" / "model.safetensors", folder)


def other_shape(folder: Path) -> None:
    """Another network than the weights'."""
    config = folder / "config.yaml"
    text = config.read_text()
    assert "\nhidden:" in text
    config.write_text(text.replace("\nhidden: ", "\nhidden: 1"))


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing": (missing, "model.safetensors is missing"),
    "corrupt": (corrupt, "is not the file metadata.json describes"),
    "hash mismatch": (other_hash, "is not the file metadata.json describes"),
    "shape mismatch": (other_shape, "disagree"),
}


@pytest.fixture(scope="module")
def watch(module_ros_domain) -> Iterator[Watch]:
    result = Watch(module_ros_domain.id, ("diagnostics",))
    yield result
    result.close()


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    """A model that can be loaded."""
    path = tmp_path_factory.mktemp("models") / "sound"
    save_checkpoint(WorldModel.untrained(SIZES["tiny"]), path)
    return path


@pytest.fixture(scope="module", params=["perception", "planner"])
def node(request, module_ros_domain, sound) -> Iterator[tuple[str, subprocess.Popen, Path]]:
    """A node that nobody has configured, and where it looks for its model."""
    name, folder = request.param, sound.parent / request.param
    command = [sys.executable, "-m", f"wm_{name}.{name}_node", "--ros-args"]
    process = subprocess.Popen([*command, "-p", f"model:={folder}"], env=module_ros_domain.env)
    yield name, process, folder
    process.terminate()
    assert process.wait(20) == 0


def configure(watch: Watch, name: str) -> bool:
    """Whether the node let itself be configured."""
    client = watch.node.create_client(ChangeState, f"/wm_{name}/change_state")
    watch.until(client.service_is_ready, "the node is there")
    request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CONFIGURE))
    future = client.call_async(request)
    watch.until(future.done, "an answer")
    watch.node.destroy_client(client)
    return future.result().success


@pytest.mark.parametrize("kind", [*BROKEN, "sound"])
def test_a_model_that_cannot_be_loaded_is_refused(watch, matrix, sound, node, kind):
    name, process, folder = node
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(sound, folder)
    if kind == "sound":
        assert configure(watch, name), "after all that, a sound model is loaded"
        return
    spoil, text = BROKEN[kind]
    spoil(folder)
    with matrix.row("engine file", f"{name}: model {kind}", 1.0, "wall") as row:
        mark, asked_s = len(watch.events), time.time()
        refused = not configure(watch, name)
        answered_s = time.time()
        status = f"wm_{name}: lifecycle"
        told = watch.first("diagnostics", lambda m: is_warning(m, status), mark)
        row.detected(max(0.0, told.sent_s - answered_s), "/diagnostics; from the answer on")
        assert refused and process.poll() is None and answered_s > asked_s
        assert any(text in s.message for s in told.message.status)
        row.reaction = "configure fails, the node lives, /diagnostics ERROR says what is wrong"
        row.recovery = "configure again"
