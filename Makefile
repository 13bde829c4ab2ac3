# `make` lists what there is.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help install run demo test check bench faults format lock

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Install the pinned dependencies into .venv (the others do it when needed)

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.11")'
	@echo "Installing into .venv (once) …"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: $(INSTALLED) ## Everything on this machine, with one demo prebooking; Ctrl-C ends it
	@$(BIN)/prebooking dev

demo: $(INSTALLED) ## 30 members want one class that opens in 10 s
	@$(BIN)/prebooking demo

test: $(INSTALLED) ## All tests, with branch coverage
	@$(BIN)/pytest --numprocesses 3 --dist worksteal --cov --cov-report=term

check: $(INSTALLED) ## Format, lint, strict types, import direction: looks, changes nothing
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/ruff check --quiet
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(INSTALLED) ## How late, beside bare sockets and a plain webhook (25 minutes; ARGS="--n 30 --rounds 3")
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/benchmarks/requirements.lock
	@cd tests/benchmarks && ../../$(BIN)/python lateness.py $(ARGS)

faults: $(INSTALLED) ## The kill matrix, then the campaign: 10,000 prebookings amid kills (20 minutes; ARGS="--seconds 60")
	@cd tests/faults && ../../$(BIN)/python matrix.py
	@cd tests/faults && ../../$(BIN)/python campaign.py $(ARGS)

format: $(INSTALLED) ## Format, and mend what the linter can mend
	@$(BIN)/ruff format --quiet
	@$(BIN)/ruff check --fix --quiet

lock: ## Pin the dependencies anew (needs uv)
	@uv pip compile --universal --python-version 3.11 --no-emit-index-url --generate-hashes --quiet \
	  --custom-compile-command "make lock" --extra local --group dev pyproject.toml -o requirements.lock
	@uv pip compile --universal --python-version 3.11 --no-emit-index-url --generate-hashes --quiet \
	  --custom-compile-command "make lock" --constraint requirements.lock --group bench \
	  -o tests/benchmarks/requirements.lock
