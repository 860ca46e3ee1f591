# Needs only Python 3.11 and make. Everything is installed into .venv, once for each state of setup.cfg.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-fast check bench clean help

help:
	@echo "make demo       train on real digits, record everything, say where it is"
	@echo "make test       all checks and all tests"
	@echo "make test-fast  the part of the tests that takes under 3 minutes"
	@echo "make check      ruff and mypy"
	@echo "make bench      what recording costs, beside its peers (ARGS=\"weights --json out.json\")"

.venv: $(INSTALLED)

$(INSTALLED): setup.cfg setup.py constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test]"
	touch $@

demo: .venv
	$(BIN)/tbx-keras demo

check: .venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy tbx_keras

test: check
	TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -m pytest --numprocesses 2

test-fast: .venv
	TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -m pytest --numprocesses 2 -m "not slow"

bench: .venv
	$(BIN)/python -m benchmarks $(ARGS)

clean:
	rm -rf $(VENV) build *.egg-info
