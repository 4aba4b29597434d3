# make run: build, then the main job. make test: the tests. Both install what they need into .venv.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
  command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(shell find src docs/causes CMakeLists.txt pyproject.toml -name '*.py' -o -name '*.md' -o -name '*.pyi' -o -name '*.[ch]' -o -name '*.toml' -o -name CMakeLists.txt) README.md LICENSE
PIP := $(BIN)/python -m pip --disable-pip-version-check -q

# How many tests at once: more than processors, for most of their time is waiting.
TEST_WORKERS ?= 5
PYTEST := $(BIN)/python -m pytest --dist loadgroup --no-loadscope-reorder -p no:inline_snapshot
# Each worker collects all tests. What is compiled by then it reads: workers that start at once would each compile all.
unexport PYTHONDONTWRITEBYTECODE
TESTS := $(shell find tests -name '*.py')
FAST := tests/kernel tests/diagnose tests/records tests/compare tests/load tests/cli/test_bad_input.py \
  tests/cli/test_options.py tests/cli/test_help.py tests/cli/test_completion.py tests/cli/test_lab_progress.py

.PHONY: run extras test test-long test-fast check field bench bench-docs docs test-kernels sanitize lock packages clean

run: $(VENV)/.built
	@echo '$$ estab bench -c 100 -s 64 -d 3    # a healthy run'
	@$(BIN)/estab bench -c 100 -s 64 -d 3
	@echo '$$ estab lab run cookie_reset    # why "broken pipe" comes at once'
	@$(BIN)/estab lab run cookie_reset --brief || [ $$? = 3 ]
	@echo '$$ estab hold -n 200 -d 1 --backlog 16 --accept-delay 50ms    # too small a backlog'
	@$(BIN)/estab hold -n 200 -d 1 --backlog 16 --accept-delay 50ms || [ $$? = 1 ]
	@echo 'Next: $(BIN)/estab limits (how many?)  diagnose (this host)  lab list  --help'

# What the extras report, watch, export and cluster need, pinned.
extras: $(VENV)/.built
	$(PIP) install --require-hashes -r requirements/extras.txt

test: $(VENV)/.dev packages $(VENV)/.compiled
	$(PYTEST) -n $(TEST_WORKERS) -m "not long" $(PYTEST_ARGS)

# What plays longest: the lab, twins, clusters, pages, another kernel, the field, the engine under sanitizers and with
# faults. Few tests, more than half of the time.
test-long: $(VENV)/.dev packages $(VENV)/.compiled
	@$(BIN)/python -m tests.kernels --fetch || true
	$(PYTEST) -n 4 -m long $(PYTEST_ARGS)

$(VENV)/.compiled: $(VENV)/.dev $(TESTS)
	@for half in 'tests/[a-e]*' 'tests/[f-z]*'; do \
	  $(BIN)/python -m pytest --collect-only -q $$half >/dev/null 2>&1 & done; wait; touch $@

# Rules, judge, parsers, records and the command line: what needs no namespace, no server and no load.
test-fast: $(VENV)/.dev
	$(PYTEST) -n 2 -m "not namespace" $(FAST) $(PYTEST_ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The judge on servers that estab did not write: a table of right and wrong (FIELD_ARGS="--only nginx -v").
field: $(VENV)/.dev
	@sh tests/packages.sh field
	$(BIN)/python -m tests.field $(FIELD_ARGS)

bench: $(VENV)/.built
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

# Other kernels are booted, and asked whether they do as the rules say: a table (KERNELS_ARGS="--all --keep",
# "--kernel cloud-6.12 --scenario cookie_reset"; --help says more). 15 minutes on two cores.
test-kernels: $(VENV)/.dev
	$(BIN)/python -m tests.kernels $(KERNELS_ARGS)

# The engine under ASan and UBSan, and with each of its system calls failing in turn.
sanitize: $(VENV)/.dev
	$(BIN)/python -m tests.engine.sanitized
	$(BIN)/python -m tests.engine.faults

# The tables and plots of docs/speed.md, measured anew (BENCH_ARGS="--peers DIR").
bench-docs: $(VENV)/.dev
	$(BIN)/python -m benchmarks.docs $(BENCH_ARGS)

# The pages that are made from the code, then the site, into build/site.
docs: $(VENV)/.dev
	$(BIN)/python -m docs.generate
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# What the tests need of Debian's packages: installed as root, named otherwise.
packages:
	@sh tests/packages.sh

lock:
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml requirements/run.in -o requirements/run.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --all-extras -c requirements/run.txt pyproject.toml -o requirements/extras.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --group dev --all-extras -c requirements/run.txt pyproject.toml requirements/run.in -o requirements/dev.txt

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo 'estab needs Python 3.11 or later (apt install python3 python3-venv python3-dev)'; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements/run.txt | $(BIN)/python
	$(PIP) install --require-hashes -r requirements/run.txt
	@touch $@

$(VENV)/.built: $(VENV)/.installed $(SOURCES)
	$(PIP) install --no-deps --no-build-isolation --force-reinstall .
	@touch $@

$(VENV)/.dev: $(VENV)/.built requirements/dev.txt
	$(PIP) install --require-hashes -r requirements/dev.txt
	@touch $@

clean:
	rm -rf $(VENV) build dist
