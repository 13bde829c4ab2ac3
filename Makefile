# `make` lists what there is.
PYTHON ?= python3
BIN := .venv/bin
LOCKS := .requirements
SERVICE := .venv/.service
TOOLS := .venv/.tools
BENCH := .venv/.bench
# The locks are complete: nothing is resolved, nothing is built, and nothing newer than what they name is taken. pip brings
# uv, which installs the rest in a fifth of the time that an older pip takes.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes
UV := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --no-deps
LOCKED := $(UV) --only-binary :all: --require-hashes
# An index that pip was told to use instead of PyPI by the environment.
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif

.DEFAULT_GOAL := help
.PHONY: help install run demo test proofs check bench faults installation format lock

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(SERVICE) ## Install the service and the local stack into .venv (the others do it when needed)

$(SERVICE): requirements.lock $(LOCKS)/local.lock $(LOCKS)/build.lock $(LOCKS)/installer.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "error: there is no $(PYTHON): on Debian and Ubuntu, sudo apt install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) $(LOCKS)/python.py
	@echo "Installing the service and the local stack into .venv (once) …"
	@$(PYTHON) -m venv --clear .venv
	@$(PIP) -r $(LOCKS)/installer.lock
	@$(LOCKED) -r requirements.lock -r $(LOCKS)/local.lock -r $(LOCKS)/build.lock
	@$(UV) --no-build-isolation -e .
	@touch $@

$(TOOLS): $(SERVICE) $(LOCKS)/dev.lock
	@echo "Installing the development tools into .venv (once) …"
	@$(LOCKED) -r $(LOCKS)/dev.lock
	@touch $@

$(BENCH): $(TOOLS) $(LOCKS)/bench.lock
	@$(LOCKED) -r $(LOCKS)/bench.lock
	@touch $@

run: $(SERVICE) ## Everything on this machine, with one demo prebooking; Ctrl-C ends it
	@$(BIN)/prebooking dev

demo: $(SERVICE) ## 30 members want one class that opens in 10 s
	@$(BIN)/prebooking demo

test: $(TOOLS) ## All tests but the long ones (3 minutes; ARGS="--cov" adds branch coverage)
	@$(BIN)/pytest --numprocesses 4 --dist worksteal -m "not proof and not installation" $(ARGS)

proofs: $(TOOLS) ## The long tests: whole processes, a browser, explorations, made-up input (7 minutes)
	@$(BIN)/pytest --numprocesses 3 --dist worksteal -m proof $(ARGS)

check: $(TOOLS) ## Format, lint, strict types, import direction, licences: looks, changes nothing
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/ruff check --quiet
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python .ci/licences.py

bench: $(BENCH) ## How late, beside bare sockets and a plain webhook, and how many (28 minutes; ARGS="--n 30 --rounds 3", BEFORE=REVISION)
	@$(BIN)/python -m tests.benchmarks.lateness $(ARGS)
	@$(BIN)/python -m tests.benchmarks.capacity $(if $(BEFORE),--before $(BEFORE))

faults: $(TOOLS) ## The kill matrix, then the campaign: 10,000 prebookings amid kills (20 minutes; ARGS="--seconds 60")
	@$(BIN)/python -m tests.reliability.faults.matrix
	@$(BIN)/python -m tests.reliability.faults.campaign $(ARGS)

installation: $(TOOLS) ## Install from a wheel, by the recipes, with the oldest pip, with newer versions on offer (2 minutes)
	@$(BIN)/pytest -m installation tests/installation $(ARGS)

format: $(TOOLS) ## Format, and mend what the linter can mend
	@$(BIN)/ruff format --quiet
	@$(BIN)/ruff check --fix --quiet

lock: $(SERVICE) ## Pin the dependencies anew (ARGS=--upgrade takes newer versions)
	@$(BIN)/python $(LOCKS)/lock.py $(ARGS)
