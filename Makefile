# make setup   install everything into .venv
# make drive   set up, then drive three routes of a test town over ROS, without a display
# make test    lint, type check and the fast tests (what CI runs)
# make slow    the slow tests
# make faults  every row of the fault matrix; writes runs/faults.json and docs/fault_matrix.md
# make coverage  line coverage of the safety gate, which must be complete
# make sanitize  the C++ engine with AddressSanitizer, UndefinedBehaviorSanitizer and valgrind
# make mutants   does any test notice small mistakes in the safety gate? (20 minutes of CPU time)
# make docs    the documentation as a site, in build/site
# make clean   remove builds and caches; the environment and runs stay

PYTHON ?= python3
VENV ?= .venv
# CONSTRAINTS=/dev/null takes the newest versions instead of the known good ones.
CONSTRAINTS ?= constraints.txt
# More options for pip, e.g. --extra-index-url of a CPU-only or a CUDA build of torch.
PIP_FLAGS ?=
# More options for `wm drive`, e.g. make drive ARGS="--seed 3 --traffic 40".
ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
STAMP := $(VENV)/.installed
# Python modules are installed by path and need no new set-up; all else is copied.
INSTALLED := pyproject.toml $(CONSTRAINTS) $(filter-out %/__pycache__,$(wildcard \
	build_backend/* build_backend/wm_build/*.py launch/* config/* config/*/* models/* models/*/* models/*/*/* \
	src/*/package.xml src/*/scripts/* src/wm_dynamics/build_runtime.py src/wm_dynamics/runtime/* \
	src/wm_msgs/*/*.msg src/wm_msgs/*/*.srv \
	src/wm_msgs/compat/*/package.xml src/wm_msgs/compat/*/*/*.msg src/wm_msgs/compat/*/*/*.srv))

# A shell that was started from another environment with ROS wheels would hand us its libraries.
ifdef _ROS_WHEELS_BOOTSTRAP_COMPLETE
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE LD_LIBRARY_PATH
endif

.PHONY: setup drive test lint slow faults coverage mutants docs sanitize clean
setup: $(STAMP)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(STAMP): $(INSTALLED) | $(BIN)/python
	@echo "Installing into $(VENV): some minutes the first time, seconds afterwards."
	$(PIP) install -q -c $(CONSTRAINTS) $(PIP_FLAGS) -r build_backend/requirements.txt
	$(PIP) install -q -c $(CONSTRAINTS) $(PIP_FLAGS) --no-build-isolation -e '.[dev]'
	touch $@

drive: setup
	$(BIN)/wm drive --town test01 --routes 3 $(ARGS)

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

test: lint
	$(BIN)/pytest -q

slow: setup
	$(BIN)/pytest -q -m slow

FAULTS := runs/faults.json
faults: setup
	rm -f $(FAULTS)
	$(BIN)/pytest -q -m "" tests/faults --faults-json $(FAULTS); status=$$?; \
	$(BIN)/python docs/make_fault_matrix.py $(FAULTS) docs/fault_matrix.md; exit $$status

# The gate's pure modules: its node is a thin shell, tested as a process.
coverage: setup
	$(BIN)/pytest -q --cov --cov-config=tests/tools/gate.coveragerc --cov-report=term-missing \
		$(filter-out %_node.py,$(wildcard tests/wm_planner/test_gate*.py))

mutants: setup
	$(BIN)/python tests/tools/gate_mutants.py --json runs/mutants.json

docs: setup
	$(BIN)/mkdocs build --strict

sanitize: setup
	$(BIN)/python tests/tools/sanitize_engine.py

clean:
	rm -rf build dist install log *.egg-info src/*/*.egg-info src/*/build
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests build_backend launch -name __pycache__ -type d -prune -exec rm -rf {} +
