# Two commands: `make demo` runs the main job, `make test` runs the tests. Both set up what they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The CPU build of torch. On a GPU machine: make TORCH=torch==2.13.0
TORCH ?= torch==2.13.0$(if $(filter Linux,$(shell uname -s)),+cpu)
TORCH_INDEX := https://download.pytorch.org/whl/cpu
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test lint docs notebooks wheel-check gpu-check gpu-check-here clean check-python

demo: $(STAMP)
	$(BIN)/neuro-aws run protocols/critical_period.yaml

test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.compile_kernels
	$(BIN)/python -m pytest -n 2 --dist loadgroup tests/end_to_end tests

lint: $(STAMP)
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

# The documentation as a site, in site/: a broken link is an error.
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# The tutorials in docs/tutorials/, executed in place: some minutes.
notebooks: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python docs/notebooks.py

# Builds sdist and wheel, and uses the wheel where there is no checkout; libraries are those of the environment.
wheel-check: $(STAMP)
	tests/packaging/smoke.sh $(BIN)/python

# In an environment of its own, with a CUDA build of torch.
gpu-check:
	$(MAKE) gpu-check-here VENV=.venv-gpu TORCH=torch==2.13.0

gpu-check-here: $(STAMP)
	$(BIN)/python benchmarks/gpu_check.py

check-python:
	@command -v $(PYTHON) >/dev/null || { echo "python3 is missing: sudo apt install python3 python3-venv (Debian), brew install python (macOS)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed; found $$($(PYTHON) --version). Give another one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "the venv module is missing: sudo apt install python3-venv"; exit 1; }

$(STAMP): pyproject.toml constraints.txt | check-python
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) "$(TORCH)" 2>/dev/null || $(PIP) --extra-index-url $(TORCH_INDEX) "$(TORCH)"
	$(PIP) -c constraints.txt -e ".[fast,spiking,report,cluster,test,lint,docs,release]"
	@touch $@

clean:
	rm -rf $(VENV)
