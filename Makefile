# Two commands: `make demo` shows what the bench does, `make test` whether it is sound. Both make what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Tests start many processes: each would compile every module anew where bytecode is not written.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test pytest test-slow test-asan test-gpu lint types docs format clean

demo: $(VENV)/use.stamp  ## what six architectures can hold, forget, track and find, and the report
	$(BIN)/workbench demo
	@echo "open demo/report.html in a browser"

test: $(VENV)/dev.stamp  ## what every change has to pass
	@# Two at a time: the tests wait for much else, and types are checked meanwhile.
	$(MAKE) --no-print-directory --jobs=2 lint types pytest

pytest: $(VENV)/dev.stamp
	$(BIN)/pytest -n auto --dist worksteal -m "not slow and not gpu"

test-slow: $(VENV)/dev.stamp  ## the checks that take minutes
	$(BIN)/pytest -n auto --dist worksteal -m "slow and not gpu"

test-asan: $(VENV)/dev.stamp  ## the compiled kernels on 400 shapes, every access to memory checked; takes minutes
	$(BIN)/python -m tests.architectures.asan_kernels

test-gpu:  ## the checks and the benchmark that need an NVIDIA GPU; uses what Python is there, and downloads nothing
	@$(PYTHON) -c "import torch" 2>/dev/null || \
	{ echo "$(PYTHON) has no PyTorch; name one that has: make test-gpu PYTHON=$(BIN)/python" >&2; exit 2; }
	$(PYTHON) -m tests.gpu.run

lint: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell
	$(BIN)/lint-imports --no-logo

types: $(VENV)/dev.stamp
	$(BIN)/mypy

docs: $(VENV)/dev.stamp  ## the documentation site, in site/; open site/index.html
	@# Its advertisement of another program is left out.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --site-dir site

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) demo site

# Without the constraints pip may replace a CPU build of PyTorch by a newer CUDA build of several GB.
$(VENV)/use.stamp: pyproject.toml setup.py constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c constraints.txt -e ".[wandb,sweeps]"
	touch $@

$(VENV)/dev.stamp: pyproject.toml setup.py constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c constraints.txt -e ".[all,dev]"
	@# What is made once for a user is made now, not while tests wait for it: the compiled kernels, a list of fonts.
	-$(BIN)/python -c "import architectures.kernels.native_build as build; build.find_or_build_library()"
	-$(BIN)/python -c "import matplotlib.font_manager"
	touch $@ $(VENV)/use.stamp
