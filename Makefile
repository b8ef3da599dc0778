# make test: linters, types, contracts and tests.   make demo: train on a simulated atlas.   make bench: measure.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint bench bench-peers clean

demo: $(READY)
	$(BIN)/scdataset demo

test: lint
	$(BIN)/pytest -n 2 --dist worksteal

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

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
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
