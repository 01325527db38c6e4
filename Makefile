# What a newcomer runs. `make help` lists it; the plain commands are the recipes below.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
STAMP := .venv/.installed
# Processes that run tests; a file's tests stay in one, so that what they share is made once.
JOBS ?= 2
PYTHON ?=
# Any Python can run the set-up script, which then looks for one that fits.
ANY_PYTHON = $(firstword $(foreach name,python3 python3.13 python3.12 python3.11 python $(PYTHON),\
	$(shell command -v $(name) 2>/dev/null)))

# One thread a process: parallelism comes from processes, and two torch threads on busy cores are slower than one.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
export DAGSTER_DISABLE_TELEMETRY := yes

.PHONY: help setup demo dev test test-slow lint format bench learnability forecast-control gate-study finetuning-study sentiment-accuracy soak verdicts registry check-vendors live-demo audit pins clean clean-data

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Install everything into .venv (PYTHON=python3.12 chooses the interpreter)
	@echo ".venv is ready."

$(STAMP): requirements.txt scripts/setup.py
	@test -n "$(ANY_PYTHON)" || { echo "No Python found. Install Python 3.11, 3.12 or 3.13 (with venv), then run 'make setup' again." >&2; exit 2; }
	@PYTHON="$(PYTHON)" $(ANY_PYTHON) scripts/setup.py

demo: $(STAMP) ## Run the whole graph on the sample market: table, weights, HTML report
	$(BIN)/python -m allocator_pipeline.defs.demo

dev: $(STAMP) ## Open the UI on this machine with the demo's materialisations in it
	$(BIN)/python -m allocator_pipeline.defs.dev

test: $(STAMP) ## Run the tests (JOBS=1 for one process)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadscope

test-slow: $(STAMP) ## Run the long tests
	$(BIN)/python -m pytest -n $(JOBS) --dist loadscope -m slow

lint: $(STAMP) ## Check style, types and the layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(STAMP) ## Format the code and mend what can be mended without asking
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

bench: $(STAMP) ## Measure the benchmarks (ONLY=name for one)
	$(BIN)/python -m benchmarks $(ONLY)

learnability: $(STAMP) ## Measure what the recipes learn from a planted signal (QUICK=1 for a look in two minutes)
	$(BIN)/python -m allocator_pipeline.studies.learnability $(if $(QUICK),--quick)

forecast-control: $(STAMP) ## Measure what the forecasters find of planted signals (QUICK=1 for a look in minutes)
	$(BIN)/python -m allocator_pipeline.studies.forecast_control $(if $(QUICK),--quick)

gate-study: $(STAMP) ## Measure how often each gate lets noise pass (QUICK=1 for a look in two minutes)
	$(BIN)/python -m allocator_pipeline.studies.gate $(if $(QUICK),--quick)

finetuning-study: $(STAMP) ## Measure what fine-tuning and experience do to a champion (QUICK=1 for a look in minutes)
	$(BIN)/python -m allocator_pipeline.studies.finetuning $(if $(QUICK),--quick)

sentiment-accuracy: $(STAMP) ## Measure the scorers of news on a labelled table (FILE=table with text and label)
	@test -n "$(FILE)" || { echo "Name a table: make sentiment-accuracy FILE=labelled.parquet" >&2; exit 2; }
	@$(BIN)/python -m allocator_pipeline.studies.sentiment_accuracy "$(FILE)"

soak: $(STAMP) ## Live through 104 simulated weeks with failing reads and kills, beside the same undisturbed
	$(BIN)/python -m allocator_pipeline_tests.soak

verdicts: $(STAMP) ## Make every verdict again from what it was made from; fails if one differs
	$(BIN)/python -m allocator_pipeline.defs.verdicts

registry: $(STAMP) ## Versions and champions: make registry ARGS="list" (show, diff, promote, roll-back, prune, verify)
	@$(BIN)/python -m allocator_pipeline.cli $(ARGS)

check-vendors: $(STAMP) ## Ask each vendor of the live market once, with your keys, and say what works (needs the network)
	@$(BIN)/python -m allocator_pipeline.cli.vendors

live-demo: $(STAMP) ## Run the live market against vendors on this machine: downloads, states, a policy, the report (DIR=folder)
	$(BIN)/python -m allocator_pipeline_tests.vendors.demo $(DIR)

audit: $(STAMP) ## Look the pinned versions up in the advisory database (needs the network)
	$(BIN)/python scripts/audit.py

pins: $(STAMP) ## Write requirements.txt anew from what is installed (CONTRIBUTING.md says when)
	$(BIN)/python scripts/pin.py

clean: ## Remove .venv and all caches; data/ stays
	rm -rf .venv .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache build dist *.egg-info .tmp_dagster_home_*
	find . -name __pycache__ -type d -not -path './data/*' -prune -exec rm -rf {} +

clean-data: ## Remove everything under data/, recorded decisions included; asks first
	@printf 'Remove all tables, models, decisions and run history under data/? Type yes: '; read answer; \
	  if [ "$$answer" = yes ]; then find data -mindepth 1 -maxdepth 1 -not -name README.md -exec rm -rf {} +; echo removed; \
	  else echo kept; fi
