# Everything runs from .venv, made from the locked requirement files by the first target that needs it.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=
N      ?= 200
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help setup demo up check format test test-pg15 faults crash bench conformance proto lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Signalbox needs Python 3.11 or newer; '$(PYTHON)' is older. Use: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@echo "Creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements/runtime.txt requirements/build.txt pyproject.toml | $(BIN)/python
	@echo "Installing the locked runtime dependencies"
	@$(PIP) install --require-hashes -r requirements/runtime.txt -r requirements/build.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	@echo "Installing the locked development dependencies"
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

setup: $(VENV)/.dev ## create .venv with everything a developer needs
	@echo "Ready: $(BIN)/signalbox --help"

demo: $(VENV)/.runtime ## watch a listing become an audited trade on a simulated exchange (ARGS=--once to stop after one)
	@$(BIN)/signalbox demo $(ARGS)

up: $(VENV)/.runtime ## start Signalbox (simulation mode until you say otherwise, twice)
	@$(BIN)/signalbox up $(ARGS)

check: $(VENV)/.dev ## lint, format check, types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(VENV)/.dev ## format and fix what can be fixed
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

test: $(VENV)/.dev ## the test suite without its campaigns, on a private PostgreSQL
	@$(BIN)/pytest -n 2 -m "not campaign" $(ARGS)

test-pg15: $(VENV)/.dev ## the same suite on Debian's PostgreSQL 15
	@$(BIN)/python tests/on_postgresql_15.py -n 2 -m "not campaign" $(ARGS)

faults: $(VENV)/.dev ## every fault of the exchange at every stage of an order's life; afterwards the books are compared
	@$(BIN)/pytest -n 2 -m campaign tests/e2e $(ARGS)

crash: $(VENV)/.dev ## kill -9 the engine N times under load (N=500 for more); afterwards the books are compared
	@case "$(N)" in ''|0|*[!0-9]*) echo "N is how many times the engine is killed, for instance: make crash N=500"; exit 2;; esac
	@echo "Killing the engine $(N) times. A campaign that fails tells its number; it always draws the same numbers:"
	@echo "make crash N=$(N) ARGS='-k \"[3]\"' repeats campaign 3 alone."
	@SIGNALBOX_TEST_CRASHES=$(N) $(BIN)/pytest -n 2 -m campaign tests/crash $(ARGS)

bench: $(VENV)/.dev ## all benches, latency beside bare clients and ccxt first (ARGS=--quick to see that they work)
	@$(BIN)/python -m benchmarks $(ARGS)

CONFORMANCE := .venv-conformance
$(CONFORMANCE)/.done: requirements/conformance.txt
	@$(PYTHON) -m venv $(CONFORMANCE)
	@$(CONFORMANCE)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements/conformance.txt
	@touch $@

conformance: $(VENV)/.dev $(CONFORMANCE)/.done ## other people's clients (ccxt) against our simulated exchanges
	@SIGNALBOX_CONFORMANCE_PYTHON=$(CONFORMANCE)/bin/python $(BIN)/pytest -m conformance $(ARGS)

proto: $(VENV)/.dev ## regenerate the protobuf decoders of the MEXC adapter
	@$(BIN)/python -m grpc_tools.protoc -Isrc --python_out=src --pyi_out=src src/signalbox/venues/mexc/push.proto

lock: ## resolve the dependencies anew (needs uv)
	@./requirements/lock.sh

clean: ## remove environments and caches
	@rm -rf $(VENV) $(CONFORMANCE) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
