# Every target makes .venv by itself when it is missing or older than the lock.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
PORT := 5000
SCALED = python -m pipeline.scale run train executor=ray executor.jobs=$(JOBS)
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PYTHONUNBUFFERED := 1
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
# Every stage of a run, and most of the tests, start Pythons that would compile the same modules again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo repro test test-demo test-versions fuzz bench bench-growth bench-gpu wheels lint ui track dag params lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv from requirements.lock

$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info < (3, 14); sys.exit(None if ok else "expected Python 3.11 to 3.13, got " + sys.version.split()[0] + ". Run make PYTHON=python3.12")'
	@echo "Installing into $(VENV): about 6 GB, once"
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY) ## compare four modes on generated sounds: minutes, no network (JOBS=n: n cells at a time)
	$(if $(filter-out 1,$(JOBS)),$(SCALED),python -m pipeline.quiet_dvc exp run) -S experiment=demo
	@python -m pipeline.next

repro: $(READY) ## run what params.yaml says; in a fresh clone that is ESC-50 (JOBS=n)
	$(if $(filter-out 1,$(JOBS)),$(SCALED),dvc repro)

test: $(READY) lint ## lint, types, layers, and all tests, several files at a time
	python -m pytest --numprocesses=auto --dist=loadfile --no-loadscope-reorder

test-demo: $(READY) ## the demo from a fresh copy, and its pages in a browser
	python -m pytest tests/demo

test-versions: ## all tests with the oldest and the newest versions that are allowed (needs uv and a network)
	$(PYTHON) -m tests.versions

fuzz: $(READY) ## every reader under damaged and made-up inputs (SECONDS=600 SEED=0)
	python -m tests.fuzz --seconds $(or $(SECONDS),600) --seed $(or $(SEED),0)

lint: $(READY) ## ruff, mypy, import layers
	ruff check .
	ruff format --check .
	mypy
	lint-imports

bench: $(READY) ## measure speed beside fastai, librosa and torchaudio (SOURCE=esc10.zip; a quiet machine)
	python -m benchmarks $(if $(SOURCE),--source $(SOURCE))

bench-growth: $(READY) ## measure how costs grow with cells, modes, clips and classes (LARGEST=0.1: the small end)
	python -m benchmarks.growth --figures .cache/growth.json --largest $(or $(LARGEST),1)

bench-gpu: ## the same on a GPU, with this Python's own packages (no network)
	$(PYTHON) -m benchmarks.gpu

wheels: $(READY) ## collect what bench-gpu needs beside torch, for a machine without a network
	python -m benchmarks.wheels

ui: $(READY) ## serve the MLflow UI, and say where in it the runs are (PORT=n)
	-@python -m pipeline.ui --port $(PORT)
	mlflow ui --backend-store-uri sqlite:///mlflow.db --workers 1 --port $(PORT)

track: $(READY) ## mirror the results into MLflow again
	python -m stages.track

dag: $(READY) ## draw the pipeline, a box a stage
	@python -m pipeline.graph

params: $(READY) ## compose conf/ into params.yaml
	python -m pipeline.compose

lock: $(READY) ## pin the newest allowed versions anew (needs uv)
	uv pip compile pyproject.toml --extra dev --extra parity --extra ray --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --no-emit-index-url --quiet --output-file requirements.lock

clean: ## remove what can be made again: outputs, caches, environment
	find data -mindepth 1 ! -name README.md -delete
	rm -rf specnorm.egg-info .cache dvc_plots .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis $(VENV)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
