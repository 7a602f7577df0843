# Everything one does here, one word each.  `make` alone lists the words.
#
# A fresh machine needs git, make and Python 3.11 or later.  uv is taken from PATH, or put into
# .tools/.  Stamp files remember what is installed, so that a second call is quick.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

export UV_SYSTEM_CERTS := 1
export UV_COMPILE_BYTECODE := 1
export UV_PYTHON_DOWNLOADS := never
# uv would complain about an environment that someone activated elsewhere.
unexport VIRTUAL_ENV
# Notices about newer releases; our ranges decide.
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
export NO_MKDOCS_2_WARNING := 1

# Asked to run, not only looked for: a shim may be on PATH with nothing behind it.
UV := $(shell uv --version >/dev/null 2>&1 && echo uv || echo .tools/bin/uv)
UV_FILE := $(filter .tools/bin/uv,$(UV))
RUN := $(UV) run --no-sync

PYTHONS ?= 3.11 3.12 3.13
ENGINE_TESTS ?= tests/graph
MANIFESTS := pyproject.toml $(wildcard packages/*/pyproject.toml)

# ---------------------------------------------------------------------------------------- words

.PHONY: help
help: ## Print this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: .venv/.stamp-dev ## Make .venv with the packages and what the tests need (the other words do it by themselves).

.PHONY: demo
demo: .venv/.stamp-dev ## Run a graph over Python's standard library, then agents on a real model (fetches 456 MiB once).
	@$(RUN) python examples/stdlib_census.py
	@$(MAKE) --silent --no-print-directory demo-agents MODEL=qwen2.5-coder-0.5b

.PHONY: demo-large
demo-large: .venv/.stamp-dev ## Run the agents of the demo on a larger model (fetches 1 GiB once).
	@$(MAKE) --silent --no-print-directory demo-agents MODEL=qwen2.5-coder-1.5b

.PHONY: demo-agents
demo-agents: .venv/.stamp-dev
	@echo
	@$(RUN) plait models pull $(MODEL)
	@$(RUN) python examples/local_agents.py --model local:$(MODEL)

.PHONY: test
test: .venv/.stamp-dev ## Run the tests on this Python; ARGS="-k join" narrows them.
	@$(RUN) pytest $(ARGS)

.PHONY: test-models
test-models: .venv/.stamp-dev ## Run the tests of models that run on this machine (fetches 544 MiB once).
	@$(RUN) plait models pull smollm2-135m
	@$(RUN) plait models pull qwen2.5-coder-0.5b
	@$(RUN) pytest tests/agent/local -m real_model $(ARGS)

.PHONY: test-pythons
test-pythons: $(UV_FILE) ## Run the engine's tests under Python 3.11, 3.12 and 3.13.
	@found=; missing=; failed=; \
	for version in $(PYTHONS); do \
	    if $(FIND_PYTHON) $$version >/dev/null 2>&1; then found+=" $$version"; else missing+=" $$version"; fi; \
	done; \
	if [[ -n $$missing && $${CI:-} == true ]]; then \
	    echo "There is no Python$$missing on this machine, and CI tests all of: $(PYTHONS). Install it, for example with pyenv." >&2; \
	    exit 1; \
	fi; \
	for version in $$found; do \
	    echo "== Python $$version"; \
	    $(MAKE) --silent --no-print-directory .venvs/$$version/.stamp; \
	    UV_PROJECT_ENVIRONMENT=.venvs/$$version $(RUN) pytest $(ENGINE_TESTS) $(ARGS) || failed+=" $$version"; \
	done; \
	if [[ -n $$missing ]]; then echo "Left out, for there is no such Python here:$$missing"; fi; \
	if [[ -n $$failed ]]; then echo "Failed under Python:$$failed" >&2; exit 1; fi; \
	if [[ -z $$found ]]; then echo "None of $(PYTHONS) was found." >&2; exit 1; fi

.PHONY: lint
lint: .venv/.stamp-lint ## Check layout, style and the layers of the packages.
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) lint-imports --no-logo

.PHONY: format
format: .venv/.stamp-lint ## Lay out the code and mend what can be mended safely.
	$(RUN) ruff check --fix-only .
	$(RUN) ruff format .

.PHONY: types
types: .venv/.stamp-lint .venv/.stamp-dev ## Check types with pyright and mypy, and that wrong programs are refused.
	$(RUN) pyright --project pyproject.toml
	$(RUN) mypy
	@if compgen -G 'tests/typing/test_*.py' >/dev/null; then $(RUN) pytest tests/typing; fi

.PHONY: docs
docs: .venv/.stamp-docs ## Build the documentation into site/, with every warning an error.
	$(RUN) mkdocs build --strict

.PHONY: bench
bench: .venvs/bench/.stamp ## Measure the engine against plain asyncio and its peers, as ratios; takes minutes (ARGS=--quick).
	@.venvs/bench/bin/python tests/benchmarks/run.py $(ARGS)

.PHONY: ci
ci: lint types test test-models test-pythons docs ## Do all that CI does.

.PHONY: clean
clean: ## Remove all that these words have made.
	rm -rf .venv .venvs .tools build site uv.lock .coverage htmlcov
	rm -rf .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

# --------------------------------------------------------------------------------- what they need

# pyenv's shims answer only for the versions named to them: the newest of each that we test.
PYENV_PYTHONS = $(shell for version in $(PYTHONS); do \
    pyenv versions --bare 2>/dev/null | grep -x "$$version\.[0-9]*" | sort -V | tail -n 1; done | paste -sd :)
FIND_PYTHON = PYENV_VERSION=$(PYENV_PYTHONS) $(UV) python find --system --no-project

.tools/bin/uv:
	python3 -m venv .tools
	.tools/bin/python -m pip install --quiet 'uv>=0.11,<1'

# --inexact: each group is added to what is there, and removes nothing of the others.
.venv/.stamp-dev: $(MANIFESTS) | $(UV_FILE)
	@echo "Setting up .venv (dev)"
	@$(UV) sync --quiet --inexact
	@touch $@

.venv/.stamp-%: $(MANIFESTS) | $(UV_FILE)
	@echo "Setting up .venv ($*)"
	@$(UV) sync --quiet --inexact --no-default-groups --group $*
	@touch $@

# Benchmarks have the peers beside us, which are nowhere else among our packages.
.venvs/bench/.stamp: $(MANIFESTS) tests/benchmarks/requirements.txt | $(UV_FILE)
	@echo "Setting up .venvs/bench"
	@$(UV) venv --quiet --clear .venvs/bench
	@$(UV) pip install --quiet --python .venvs/bench -r tests/benchmarks/requirements.txt -e packages/graph -e packages/agent
	@touch $@

.venvs/%/.stamp: $(MANIFESTS) | $(UV_FILE)
	@echo "Setting up .venvs/$*"
	@UV_PROJECT_ENVIRONMENT=.venvs/$* $(UV) sync --quiet --python "$$($(FIND_PYTHON) $*)"
	@touch $@
