"""Graphs shared by the rows of a module, and the file that all rows are written to."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fault_graph import Graph, running_graph
from fault_rows import Matrix

HERE = Path(__file__).parent
OPTION = "--faults-json"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(OPTION, type=Path, default=None, help="write what was measured here")


@pytest.fixture(scope="session")
def matrix(request: pytest.FixtureRequest) -> Iterator[Matrix]:
    """Where rows are measured."""
    result = Matrix()
    yield result
    path = request.config.getoption(OPTION, default=None)
    if path is not None:
        result.write(path)


class Saboteur:
    """Gives the orders of :mod:`sabotage`."""

    def __init__(self, file: Path):
        self.file, self._done = file, file.with_suffix(".done")

    def clear(self) -> None:
        """Nothing is ordered, nothing was done."""
        for file in (self.file, self._done):
            file.unlink(missing_ok=True)

    def first_hit(self) -> int:
        """Stamp of the first frame that was hit, 0 before there is one."""
        return int(self._done.read_text().split()[0]) if self._done.exists() else 0

    def order(self, node: str, kind: str, start_ns: int, end_ns: int, value: float = 0.0) -> None:
        """One order; it replaces the last."""
        order = {"node": node, "kind": kind, "value": value, "start_ns": start_ns, "end_ns": end_ns}
        draft = self.file.with_suffix(".new")
        draft.write_text(json.dumps(order))
        draft.replace(self.file)  # at once: it is being read


@pytest.fixture(scope="module")
def saboteur(tmp_path_factory) -> Saboteur:
    """Whose orders the engines of :func:`graph` obey."""
    return Saboteur(tmp_path_factory.mktemp("sabotage") / "order.json")


@pytest.fixture(scope="module")
def start_graph(module_ros_domain, saboteur, tmp_path_factory) -> Callable[..., object]:
    """Makes a graph in the module's domain, see :func:`fault_graph.running_graph`."""
    environment = {
        **module_ros_domain.env,
        "PYTHONPATH": str(HERE),
        "WM_SABOTAGE": str(saboteur.file),
    }

    def start(**options):
        folder = tmp_path_factory.mktemp("graph")
        return running_graph(folder, module_ros_domain.id, environment, **options)

    return start


@pytest.fixture(scope="module")
def graph(start_graph) -> Iterator[Graph]:
    """The shipped graph; its engines can be sabotaged."""
    modules = {"perception": "sabotaged_perception", "planner": "sabotaged_planner"}
    with start_graph(modules=modules) as result:
        yield result
