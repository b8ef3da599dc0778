# make help says what each target does.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Processes that tests start find the package's bytecode, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE

PYTHONS ?= 3.11 3.12 3.13

.PHONY: help demo test test-fast test-slow test-all lint style types docs drawings bench bench-peers dist clean

help:
	@echo "make test         linters, types, contracts and tests, in some five minutes on two cores"
	@echo "make test-slow    the tests that make test leaves out: more combinations of what it tests, and larger ones"
	@echo "make test-all     the tests of make test under Python $(PYTHONS), as far as they are installed"
	@echo "make lint         linters, types and contracts alone"
	@echo "make demo         train on a simulated atlas"
	@echo "make docs         the documentation, in docs/_build/html"
	@echo "make drawings     draw again what the documentation shows, from the package and from results"
	@echo "make bench        measure on this machine"
	@echo "make bench-peers  measure other loaders beside it"
	@echo "make dist         wheel and sdist, each tried in an empty environment"
	@echo "make clean        remove environments, caches and what was built"

demo: $(READY)
	$(BIN)/scdataset demo

test: style
	$(MAKE) -j2 types test-fast

test-fast: $(READY)
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow"

test-slow: $(READY)
	SCDATASET_TESTS=all $(BIN)/pytest -n 2 --dist worksteal -m "slow or hypothesis"

# A Python of pyenv counts as installed if it is active: PYENV_VERSION=3.11:3.12:3.13 make test-all
test-all:
	@for version in $(PYTHONS); do \
		if python$$version -c "" 2>/dev/null; then \
			$(MAKE) test-fast PYTHON=python$$version VENV=.venv-$$version || exit 1; \
		else \
			echo "Python $$version is not installed and left out"; \
		fi; \
	done

docs: $(READY)
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs docs/_build/html
	@echo "docs/_build/html/index.html"

drawings: $(READY)
	$(BIN)/python docs/drawings/concepts.py
	$(BIN)/python docs/drawings/chart.py
	$(BIN)/python docs/drawings/learning.py
	$(BIN)/python docs/drawings/diversity.py
	$(BIN)/python docs/drawings/predictions.py
	$(BIN)/python docs/drawings/tutorial.py

dist: $(READY)
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/python tests/smoke.py dist/*

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
	rm -rf .venv .venv-* build dist docs/_build docs/api/generated .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -exec rm -rf {} +
