# `make setup demo test bench validate check format lock`. Needs Python 3.11 or later, make and git; brings the rest into
# .venv and .cache.
BIN := .venv/bin
PYTEST_ARGS ?=
WORKERS ?= 2
DEMO_ARGS ?=
BENCH_ARGS ?=
# Hundreds of processes are started: modules are compiled once, also where an image says that nothing compiled is kept.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: setup demo test check format bench validate lock
.DEFAULT_GOAL := setup

setup:            ## everything that the other targets need; does nothing when nothing changed
	@scripts/bootstrap test

demo:             ## a lab country, its observatory and its pages; DEMO_ARGS=--once ends by itself
	@scripts/bootstrap run
	@$(BIN)/ringback demo $(DEMO_ARGS)

test: check       ## every check that continuous integration runs; one room: PYTEST_ARGS=tests/wire; in one process: WORKERS=0
	@scripts/debian-packages
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder $(PYTEST_ARGS)

check: setup      ## lint, format, types, direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --config pyproject.toml

format: setup     ## put code into the one form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: setup      ## one JSON object a line; some of them: BENCH_ARGS="wire sim"
	@$(BIN)/python -m bench $(BENCH_ARGS)

validate: setup   ## the long proofs
	@RINGBACK_VALIDATE=1 $(BIN)/python -m pytest -m validate --timeout=0 $(PYTEST_ARGS)

lock:             ## after a change of dependencies in pyproject.toml
	@scripts/lock
