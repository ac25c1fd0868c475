# Everything runs from .venv, made from the hash-pinned lock. Needs Python 3.11 or later and make, nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH_VENV := .venv-bench
DATA_DIR ?= .serx
PORT ?= 8000
TEST_JOBS ?= 3
PYTEST_ARGS ?=
BENCH_ARGS ?=

.DEFAULT_GOAL := help
# A process starts faster from compiled modules, and the tests start hundreds.
unexport PYTHONDONTWRITEBYTECODE

help: ## Show this
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: install ## Run everything on this machine, walk a proposal to its signature, serve until Ctrl-C
	@$(BIN)/serx up --data-dir $(DATA_DIR) --port $(PORT)

install: $(VENV)/installed ## Build .venv with everything, the tests' needs included

$(VENV)/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("serx needs Python 3.11 or later; this is " + sys.version.split()[0] + ". Say which one to use: make PYTHON=python3.11 …") if sys.version_info < (3, 11) else None'
	@mkdir -p $(VENV) 2>/dev/null && test -w $(VENV) || { echo "The folder $(CURDIR)/$(VENV) cannot be written by $$(id -un): use a checkout of your own, or have it given to you."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "This Python cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "The virtual environment $(CURDIR)/$(VENV) could not be made; the lines above say why."; exit 1; }
	@echo "Installing into $(VENV) (once; about half a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

check: install ## Format, lint, types, walls
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

test: install ## Run every test, on real PostgreSQL and NATS, TEST_JOBS files side by side
	$(BIN)/python -m pytest --numprocesses $(TEST_JOBS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

bench: install $(BENCH_VENV)/installed ## Measure us beside our peers (half an hour; BENCH_ARGS=--quick to try)
	@$(BIN)/python -m tests.bench $(BENCH_ARGS)

# The peers get the versions that we run on, where we share a library.
$(BENCH_VENV)/installed: pyproject.toml $(VENV)/installed
	@$(PYTHON) -m venv $(BENCH_VENV)
	@echo "Installing the peers into $(BENCH_VENV)"
	@$(BIN)/python -m pip freeze --disable-pip-version-check --exclude-editable > $(BENCH_VENV)/constraints.txt
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["bench"], sep="\n")' > $(BENCH_VENV)/wanted.txt
	@$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c $(BENCH_VENV)/constraints.txt -r $(BENCH_VENV)/wanted.txt
	@touch $@

lock: ## Renew requirements.lock from pyproject.toml (needs uv)
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
		--extra local --extra otel --extra dev --upgrade pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
		--extra migrate --constraint requirements.lock --upgrade pyproject.toml -o deploy/docker/requirements.lock
	echo 'hatchling>=1.27' | uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
		--python-version 3.11 --constraint requirements.lock - -o deploy/docker/build.lock

.PHONY: help up install check test bench lock
