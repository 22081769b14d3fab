.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help setup run test test-all lint format bench clean

help:  ## show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("mdseg needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

setup: $(STAMP)  ## install everything into .venv, at the tested versions

run: setup  ## the main job on embedded data, minutes on two CPU cores: UniSeg on four datasets
	$(BIN)/python -m mdseg.run experiment=uniseg_cibm

test: setup  ## the tests, without the long ones
	$(BIN)/python -m pytest -m 'not slow' -n 2 --dist loadfile --no-loadscope-reorder

test-all: setup  ## all tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: setup  ## what CI checks of style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup  ## mend the style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup  ## the numbers in benchmarks/README.md
	$(BIN)/python -m benchmarks

clean:  ## remove caches and build outputs; runs and the environment stay
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
