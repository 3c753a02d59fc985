# Every target that a person uses has a `##` comment; `make` alone prints them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --no-deps
MIGRATIONS := src/trustpack/platform/migrations

# The runner wraps each file in a transaction, retries, and sets the lock and statement time limits itself.
SQUAWK := $(BIN)/squawk --pg-version 15.0 --assume-in-transaction \
  --exclude prefer-robust-stmts --exclude require-lock-timeout --exclude require-statement-timeout

.DEFAULT_GOAL := help
.PHONY: help demo test test-product test-targets test-oldest-store test-pages venv check lint soak bench screens fmt reference clean requirements tools
.SUFFIXES:
.DELETE_ON_ERROR:

help: ## Print this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/.run ## Run the golden paths on a real PostgreSQL target, then serve on http://127.0.0.1:8000
	@$(BIN)/trustpack demo

test: $(VENV)/.dev tools lint ## Check and test everything that this machine can test
	@$(MAKE) --no-print-directory --jobs 2 --keep-going --output-sync=target test-product test-targets test-oldest-store test-pages

venv: $(VENV)/.run ## Make .venv with the product in it (.venv/bin/trustpack)

check: $(VENV)/.dev tools lint ## Check format, lint, types, import rules, policies and migrations

soak: $(VENV)/.dev ## Kill the server 1,000 times under load (KILLS=n); goes on where it was interrupted
	@$(BIN)/python -m tests.soak --kills $(or $(KILLS),1000)

bench: $(VENV)/.dev ## Measure this machine; compare with bench/RESULTS.md
	@$(BIN)/python bench/run.py

screens: $(VENV)/.dev tools ## Take the pictures in docs/screens anew, from the demo in a real Chromium
	@$(BIN)/python tools/screens.py

fmt: $(VENV)/.dev ## Format the code and mend what lint can mend
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .
	@if [ -x .tools/opa ]; then .tools/opa fmt --write policies; else echo "skipped: format of policies (no .tools/opa; run \`make check\` once)"; fi

reference: $(VENV)/.dev ## Write docs/reference anew from the code
	@$(BIN)/python tools/generate_reference.py

clean: ## Remove .venv, .tools and caches; your data in var/ stays
	@rm -rf $(VENV) .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find src tests tools bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

requirements: ## Pin requirements/*.in anew, with hashes (maintainers; needs uv)
	@for name in runtime dev; do uv pip compile --universal --python-version 3.11 --generate-hashes --upgrade \
	  --no-emit-index-url --no-emit-find-links --no-header -q requirements/$$name.in -o requirements/$$name.txt || exit 1; done

# Below: steps of the targets above.

tools:
	@bash tools/ensure-tools.sh

# The tests in parts, two at a time and the longest first: most of them wait for servers. Each run has a directory of its own, because
# a second one would lock the servers of the first out of theirs.
run_tests = base=$$(mktemp -d); status=0; $(BIN)/python -m pytest --basetemp="$$base/tests" $(1) || status=$$?; rm -rf "$$base"; exit $$status
ON_TARGETS := tests/integration/targets tests/attacks tests/contract/operations
ON_PAGES := tests/browser tests/pages

test-targets:
	@echo "test: targets, on every version of PostgreSQL"
	@$(call run_tests,$(ON_TARGETS))

test-product:
	@echo "test: everything else"
	@$(call run_tests,$(addprefix --ignore ,$(ON_TARGETS) $(ON_PAGES)))

test-pages:
	@echo "test: every page of the console"
	@$(call run_tests,$(ON_PAGES))

# The oldest PostgreSQL that the store runs on, and the tests that touch the store.
OLDEST_SERVER := /usr/lib/postgresql/15/bin/postgres
ON_EVERY_STORE := tests/integration tests/migration tests/contract/http --ignore tests/integration/targets

test-oldest-store:
	@if [ ! -x $(OLDEST_SERVER) ]; then echo "skipped: the store on PostgreSQL 15, which is not installed"; exit; fi; \
	echo "test: again, with the store on PostgreSQL 15"; $(call run_tests,--store 15 $(ON_EVERY_STORE))

# Runs a checker; shows what it said only if it failed.
quietly = @echo "check: $(1)"; out=$$($(2) 2>&1) || { printf '%s\n' "$$out"; exit 1; }

lint: $(VENV)/.dev tools
	$(call quietly,format,$(BIN)/ruff format --check --output-format concise .)
	$(call quietly,lint,$(BIN)/ruff check --output-format concise .)
	$(call quietly,types,$(BIN)/mypy)
	$(call quietly,imports,$(BIN)/lint-imports --no-logo)
	$(call quietly,migrations,$(SQUAWK) $(MIGRATIONS)/*.sql)
	$(call quietly,reference,$(BIN)/python tools/generate_reference.py --check)
	@[ ! -x .tools/opa ] || { echo "check: policies"; $(BIN)/python tools/build_policies.py --lint --check; }

# The environment is made anew whenever its pins change, so that nothing else is ever in it. No build step: a .pth file names src.
$(VENV)/.run: requirements/runtime.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed (PYTHON=... names another)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv module is missing (Debian: apt-get install python3-venv)"; exit 1; }
	@echo "Installing the pinned packages into $(VENV) ..."
	@"$$($(PYTHON) -c 'import sys; print(sys._base_executable)')" -m venv --clear $(VENV)
	@$(PIP) -r requirements/runtime.txt
	@$(BIN)/python tools/link_source.py
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	@echo "Installing the pinned developer packages into $(VENV) ..."
	@$(PIP) -r requirements/dev.txt
	@touch $@
