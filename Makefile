# make help says what each target does.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Processes that tests start find the package's bytecode, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-fast test-slow lint style types bench bench-peers clean

help:
	@echo "make test       linters, types, contracts and tests, in some six minutes on two cores"
	@echo "make test-slow  the tests that make test leaves out: more combinations of what it tests, and larger ones"
	@echo "make lint       linters, types and contracts alone"
	@echo "make demo       train on a simulated atlas"
	@echo "make bench      measure; make bench-peers measures other loaders beside it"
	@echo "make clean      remove the environment and all caches"

demo: $(READY)
	$(BIN)/scdataset demo

test: style
	$(MAKE) -j2 types test-fast

test-fast: $(READY)
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow"

test-slow: $(READY)
	SCDATASET_TESTS=all $(BIN)/pytest -n 2 --dist worksteal -m "slow or hypothesis"

bench-peers: $(READY)
	$(BIN)/python benchmarks/peers.py $(if $(PYTHON312),--python312 $(PYTHON312))
	$(BIN)/python benchmarks/plates.py

bench: $(READY)
	$(BIN)/python benchmarks/loop_overhead.py
	$(BIN)/python benchmarks/billion_rows.py
	$(BIN)/python benchmarks/opening.py
	$(BIN)/python benchmarks/throughput.py
	$(BIN)/python benchmarks/genes.py
	$(BIN)/python benchmarks/grouped.py

lint: style types

style: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(READY)
	$(BIN)/mypy
	$(BIN)/lint-imports

# torch goes first and alone: its pinned build satisfies every later requirement.
$(READY): pyproject.toml requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet $$(grep '^torch==' requirements-dev.txt)
	$(BIN)/pip install --quiet -r requirements-dev.txt
	touch $(READY)

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -exec rm -rf {} +
