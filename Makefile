# Two commands: `make demo` plays a dialysis day, `make test` passes the tests. The rest serves these two.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV  := .venv
BIN   := $(VENV)/bin
CACHE := .cache
JOBS  ?= 3
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
    command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' && echo $$p && break; done)
PIP   := $(BIN)/python -m pip --disable-pip-version-check
TESTS := -n $(JOBS) --dist loadfile --no-loadscope-reorder

# what waits for nothing runs beside the rest: real parts are installed while packages are, mypy reads while tests wait
MAKEFLAGS += --jobs=3
# hundreds of programs start in the tests: each would compile the code anew
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test suite coverage check lint types imports format lock bench faults long architecture docs sbom wheels clean

help:  ## Show this list.
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.ready  ## Make the environment in .venv and install; nothing else.

demo: $(VENV)/.ready  ## Play a dialysis day: faces at the kiosk, events to central, verdicts on the bill.
	@$(BIN)/renzheng demo

test: lint types imports suite  ## Check, and pass all tests; sets up the real parts they need.

suite: $(VENV)/.ready-dev lint $(CACHE)/.collected
	@RENZHENG_PORTRAITS=$(CURDIR)/$(CACHE)/portraits $(BIN)/python -m pytest $(TESTS) $(PYTEST)

# one process compiles the tests with their assertions written out, before each worker would for itself
$(CACHE)/.collected: $(VENV)/.ready-dev
	@$(BIN)/python -m pytest --collect-only -qq >/dev/null || true  # the suite says what is wrong
	@touch $@

check: lint types imports  ## Lint and type-check; part of `make test`.

lint: $(VENV)/.ready-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.ready-dev
	@$(BIN)/mypy -p renzheng

imports: $(VENV)/.ready-dev
	@$(BIN)/lint-imports --no-logo

format: $(VENV)/.ready-dev  ## Let the formatter and the fixable lints have their way.
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo 'renzheng needs Python 3.11 or newer. Install it, then run this again.' >&2; exit 1; }
	@deploy/setup/environment.sh "$(PYTHON)" "$(VENV)"
	@touch $@

# the locked pip first: nothing may replace it while it runs twice
$(VENV)/.pip: requirements.lock $(VENV)/.made
	@mkdir -p $(CACHE)
	@deploy/setup/locked.sh pip requirements.lock > $(CACHE)/pip.lock
	@$(PIP) install --quiet --no-compile --no-deps --require-hashes -r $(CACHE)/pip.lock
	@touch $@

$(VENV)/.run: requirements.lock $(VENV)/.pip
	@echo 'Installing the locked packages ...'
	@$(PIP) install --quiet --no-compile --no-deps --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.house: pyproject.toml $(VENV)/.run
	@PYTHONWARNINGS=ignore $(PIP) install --quiet --no-compile --no-deps --no-build-isolation -e .
	@touch $@

$(CACHE)/portraits/.ready: deploy/setup/portraits.lock deploy/setup/portraits.sh $(VENV)/.run
	@echo 'Fetching the public-domain portraits of the demo ...'
	@deploy/setup/portraits.sh "$(BIN)/python" "$(CACHE)"
	@touch $@

$(VENV)/.ready: $(VENV)/.house $(CACHE)/portraits/.ready
	@$(BIN)/renzheng models convert
	@deploy/setup/voices.sh "$(BIN)/renzheng"
	@touch $@

# PySpark is published as source alone: half a gigabyte is packed into a wheel, which pip's cache then has
$(CACHE)/.spark: requirements-dev.lock $(VENV)/.pip
	@mkdir -p $(CACHE)
	@deploy/setup/locked.sh pyspark requirements-dev.lock > $(CACHE)/spark.lock
	@$(PIP) wheel --quiet --no-deps --require-hashes -r $(CACHE)/spark.lock -w $(CACHE)/spark
	@rm -r $(CACHE)/spark
	@touch $@

$(CACHE)/.parts: deploy/setup/real-parts.sh $(VENV)/.made
	@deploy/setup/real-parts.sh
	@mkdir -p $(CACHE)
	@touch $@

$(VENV)/.ready-dev: requirements-dev.lock $(VENV)/.ready $(CACHE)/.spark $(CACHE)/.parts
	@echo 'Installing the packages of the tests ...'
	@$(PIP) install --quiet --no-compile --no-deps --require-hashes -r requirements-dev.lock
	@deploy/setup/voices.sh "$(BIN)/renzheng"
	@touch $@

faults: $(VENV)/.ready-dev  ## Kill, cut off, fill, flip and forge at length (an hour; all of it as root), and count what was lost.
	@FAULTS=long $(BIN)/python -m pytest tests/faults tests/integration/audit/test_audit_spark.py $(PYTEST)

long: $(VENV)/.ready-dev  ## Every test there is, with all lengths and permutations that `make test` leaves out (hours).
	@FAULTS=long RENZHENG_PORTRAITS=$(CURDIR)/$(CACHE)/portraits $(BIN)/python -m pytest -m 'long or not long' $(TESTS) $(PYTEST)

coverage: $(VENV)/.ready-dev $(CACHE)/.collected  ## Count which lines and branches the tests run, by folder.
	@rm -rf $(CACHE)/coverage && mkdir -p $(CACHE)/coverage
	@RENZHENG_PORTRAITS=$(CURDIR)/$(CACHE)/portraits \
	    $(BIN)/coverage run -m pytest $(TESTS) $(PYTEST) || echo 'Some tests failed: the figure stands for those that ran.' >&2
	@$(BIN)/coverage combine --quiet
	@for part in contracts common models rules edge central deploy bench; do \
	    echo "$$part $$($(BIN)/coverage report --format=total --include="$$part/*") %"; done
	@echo "whole $$($(BIN)/coverage report --format=total) %; by file: $(BIN)/coverage report"

bench: $(VENV)/.ready-dev  ## Measure faces, link and audit on this machine, beside their rivals (half an hour).
	@$(BIN)/renzheng models bench --images $(CACHE)/portraits
	@$(BIN)/renzheng bench sync --events 200000
	@$(BIN)/renzheng bench audit
	@$(BIN)/renzheng bench ward --images $(CACHE)/portraits

architecture: $(VENV)/.ready-dev  ## Draw the floors of the code into ARCHITECTURE.md.
	@$(BIN)/python -m renzheng.deploy.architecture

$(CACHE)/docs/.ready: pyproject.toml
	@test -n "$(PYTHON)" || { echo 'The site needs Python 3.11 or newer.' >&2; exit 1; }
	@deploy/setup/environment.sh "$(PYTHON)" "$(CACHE)/docs"
	@$(CACHE)/docs/bin/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["docs"], sep="\n")' > $(CACHE)/docs/wanted.txt
	@$(CACHE)/docs/bin/python -m pip --disable-pip-version-check install --quiet -r $(CACHE)/docs/wanted.txt
	@touch $@

docs: $(CACHE)/docs/.ready  ## Make a site of the documents in build/site, in an environment of its own.
	@$(CACHE)/docs/bin/mkdocs build --quiet --strict

wheels: $(VENV)/.ready  ## Build the wheel of the product and that of its instruments into dist/.
	@rm -rf build/lib build/bdist.* instruments/build
	@for each in . ./instruments; do PYTHONWARNINGS=ignore $(PIP) wheel --quiet --no-deps --no-build-isolation -w dist "$$each"; done

sbom: $(VENV)/.ready-dev  ## Write bills of materials (CycloneDX) of the locked packages to build/sbom.
	@deploy/setup/sbom.sh "$(BIN)/cyclonedx-py" build/sbom

lock: $(VENV)/.ready-dev  ## Renew both lock files from pyproject.toml.
	@deploy/setup/lock.sh "$(BIN)/uv"

clean:  ## Remove the environment, caches and outputs; sources stay.
	@rm -rf $(VENV) $(CACHE) build artefacts demo-out
