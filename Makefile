# Two commands from a fresh clone: `make demo` shows the main job, `make test` runs every test.
# Both set up what they need (Debian packages, .venv, Python packages, weights) and skip what is already there.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test lint wheel clean system-demo system-test

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
SOURCES := pyproject.toml $(shell find -L vau -type f -not -path '*/__pycache__/*' 2>/dev/null)

SYSTEM := libgl1 libglib2.0-0 opencv-doc
SYSTEM_TEST := $(SYSTEM) chromium chromium-driver ffmpeg default-jre-headless

# An editable install, made by `make test`, serves the demo as well; otherwise the demo makes a plain one.
INSTALLED := $(if $(wildcard $(VENV)/.editable),$(VENV)/.editable,$(VENV)/.installed)

help:
	@echo 'make demo    analyse staged footage and say where the report is; then .venv/bin/vau analyze VIDEO works'
	@echo 'make test    install what the tests need and run them'
	@echo 'make lint    ruff, mypy'
	@echo 'make wheel   build the wheel and try it in an empty environment'
	@echo 'make clean   remove the environment, builds and caches'

demo: system-demo $(INSTALLED)
	$(BIN)/vau weights fetch
	$(BIN)/vau demo --out demo
	@echo 'Analyse your own video:  $(BIN)/vau analyze VIDEO'

test: system-test $(VENV)/.editable
	$(BIN)/vau weights fetch
	$(BIN)/vau weights fetch yolov8n
	# Threads of several tests that wait for each other on few cores must sleep, not spin.
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

lint: $(VENV)/.editable
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

wheel: system-test $(VENV)/.editable
	scripts/try-wheel $(BIN)/python

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis

system-demo:
	@scripts/system-packages $(PYTHON) $(SYSTEM)

system-test:
	@scripts/system-packages $(PYTHON) $(SYSTEM_TEST)

$(VENV)/.made:
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	@touch $@

$(VENV)/.installed: $(VENV)/.made $(SOURCES)
	$(PIP) .
	@touch $@

$(VENV)/.editable: $(VENV)/.made pyproject.toml
	$(PIP) --editable '.[dev,eval,decord,yolo,clip,scorers,mllm,serve,train]'
	@rm -f $(VENV)/.installed
	@touch $@
