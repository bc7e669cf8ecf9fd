# Every task of the house. "make" alone lists them. Needs make and Python 3.11, 3.12 or 3.13.

PYTHON ?= python3
UV ?= uv
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin

# pip, as the lock wants to be installed. --no-deps: the lock is complete already, and older pips
# refuse a hash-locked file in which one package asks for another with an extra ("httpx[http2]").
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --no-deps --require-hashes

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-slow test-all lint format types imports check lock bench bench-accuracy bench-loans bench-market clean

help: ## List the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.project ## Set up, then run the main job on simulated applications, network off
	$(BIN)/riskwright demo $(ARGS)

test: $(VENV)/.dev ## Set up with the test tools, then run the suite (ARGS="-k ledger" to choose)
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

test-slow: $(VENV)/.dev ## Run the tests that take minutes
	$(BIN)/python -m pytest -m slow $(ARGS)

test-all: $(VENV)/.dev ## Run every test; fail where real data, PostgreSQL or root are missing
	RISKWRIGHT_REQUIRE=data,postgres,users,history $(BIN)/python -m pytest -n 2 --dist loadfile -m "slow or not slow" $(ARGS)

check: lint types imports ## Run lint, types and imports

lint: $(VENV)/.dev ## Check style and format (ruff)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev ## Mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev ## Check types (mypy, strict)
	$(BIN)/mypy

imports: $(VENV)/.dev ## Check who may import whom (import-linter)
	PYTHONPATH=src:flows $(BIN)/lint-imports

bench: $(VENV)/.dev ## Run every benchmark but the three below (an hour or so; the demo comes first)
	$(BIN)/python benchmarks/footprint.py -- $(BIN)/riskwright demo
	$(BIN)/python benchmarks/cold_start.py
	$(BIN)/python benchmarks/bundle_bytes.py
	$(BIN)/python benchmarks/promotion_race.py
	$(BIN)/python benchmarks/kill_resume.py
	$(BIN)/python benchmarks/overhead.py german taiwan
	$(BIN)/python benchmarks/scoring.py

bench-accuracy: $(VENV)/.project ## Compare families, ensemble and yardsticks on the real data sets
	$(BIN)/python benchmarks/accuracy.py $(ARGS)

bench-loans: $(VENV)/.project ## Measure the loan book: forecasts, a million loans, known truth (an hour)
	$(BIN)/python benchmarks/accuracy.py lending_club
	$(BIN)/python benchmarks/rolling_origins.py
	$(BIN)/python benchmarks/book_years.py
	$(BIN)/python benchmarks/portfolio_scale.py
	$(BIN)/python benchmarks/book_coverage.py
	$(BIN)/python benchmarks/book_coverage.py --fits 20 --books 5

# uv repeats the condition of [tool.uv] environments on each line; sed drops it, since the Makefile
# and requires-python refuse everything else already. Pins stay as they are: to move one, add
# ARGS="--upgrade-package NAME".
LOCK := $(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate $(ARGS)
SHORTEN := sed -E -e "s/ and \(\(platform_machine == 'arm64'.*sys_platform == 'linux'\)\)//" \
	-e "s/ ; python_full_version < '3\.14' \\\\$$/ \\\\/"

lock: ## Resolve pyproject.toml into requirements/*.txt (needs uv and a package index)
	$(LOCK) --output-file requirements/base.txt > /dev/null
	$(SHORTEN) requirements/base.txt > requirements/.short && mv requirements/.short requirements/base.txt
	$(LOCK) --extra dev --constraint requirements/base.txt --output-file requirements/dev.txt > /dev/null
	$(SHORTEN) requirements/dev.txt > requirements/.short && mv requirements/.short requirements/dev.txt

DATA ?= ../shared/data/market
bench-market: $(VENV)/.project ## Measure the market: skill, overhead, placebo, monitor (an hour; DATA=FOLDER)
	$(BIN)/python benchmarks/market_forecast.py --case market_return_shiller --data $(DATA) --known over
	$(BIN)/python benchmarks/market_forecast.py
	$(BIN)/python benchmarks/market_walk.py --rounds 3
	$(BIN)/python benchmarks/market_placebo.py
	$(BIN)/python benchmarks/market_placebo.py --case market_return_shiller --data $(DATA)
	$(BIN)/python benchmarks/market_alarms.py
	$(BIN)/python benchmarks/market_alarms.py --looks

clean: ## Remove the environment, caches and build files (never a riskwright home)
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	rm -rf *.egg-info src/*.egg-info
	find src flows tests benchmarks -type d -name __pycache__ -prune -exec rm -rf {} + 2> /dev/null || true

# The environment, in four steps; each leaves a stamp, so that none is done twice.
$(VENV)/.made:
	@command -v $(PYTHON) > /dev/null || { \
	  echo "riskwright needs Python 3.11, 3.12 or 3.13, and there is no '$(PYTHON)'."; \
	  echo "Name one that you have: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "riskwright needs Python 3.11, 3.12 or 3.13, and '$(PYTHON)' is $$($(PYTHON) --version 2>&1)."; \
	  echo "Name another: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.base: requirements/base.txt | $(VENV)/.made
	@echo "Installing the locked set into $(VENV): some minutes, and some GB of disk ..."
	$(INSTALL) -r requirements/base.txt
	@touch $@

# Without build isolation: setuptools and wheel are in the lock, nothing else is fetched.
$(VENV)/.project: pyproject.toml $(VENV)/.base
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	$(PIP) check
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.project
	$(INSTALL) -r requirements/dev.txt
	$(PIP) check
	@touch $@
