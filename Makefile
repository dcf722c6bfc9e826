# Fanfare. `make` alone lists what can be done.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PROTOS := $(shell find proto -name '*.proto')

.DEFAULT_GOAL := help
.PHONY: help setup proto lock run demo test check test-faults bench-import bench-send bench-graphql bench-count \
	bench-tracking bench-memory

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 24

setup: $(VENV)/.ready gen/.ready ## Install what is needed into .venv and generate the contracts (once)

$(VENV)/.ready: requirements/dev.txt
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	printf '%s\n%s\n' "$(CURDIR)" "$(CURDIR)/gen" > "$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/fanfare.pth"
	touch $@

gen/.ready: $(PROTOS) $(VENV)/.ready
	rm -rf build/gen && mkdir -p build/gen
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(PY) -m grpc_tools.protoc -I proto \
		-I "$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
		--python_out=build/gen --grpc_python_out=build/gen --mypy_out=quiet:build/gen --mypy_grpc_out=quiet:build/gen $(PROTOS)
	mkdir -p gen && cp -R build/gen/. gen/ && touch $@

proto: gen/.ready ## Generate code from proto/ into gen/

lock: $(VENV)/.ready ## Pin versions and hashes of requirements/*.in
	$(PY) -m pip install --quiet uv
	for set in runtime build dev; do $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate requirements/$$set.in -o requirements/$$set.txt; done

run: setup ## Start Fanfare on this machine, until Ctrl-C (FANFARE_DATA, FANFARE_HTTP)
	@exec $(PY) -m services run

demo: setup ## The main job on real lists: import, send, read, buy; and the picture of it (DEMO_EXIT=1 ends it)
	@exec $(PY) -m demo

test: setup ## Run the whole test suite
	$(PY) -m pytest

check: setup ## Ruff, strict mypy, import rules, proto lint and breaking changes, schema freshness
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(PY) proto/check.py
	$(PY) -m services.gateway schema --check

bench-import bench-send bench-graphql bench-count bench-tracking bench-memory: bench-%: setup
	@exec $(PY) -m bench $* $(N)

bench-import: ## Measure importing, against plain SQLite (N= rows)
bench-send: ## Measure sending, against a blast of one message (N= members, DKIM=1 signs, CHUNKING=0 by DATA alone)
bench-graphql: ## Measure a page of fifty members, against plain execution (N= members)
bench-count: ## Measure a rule's live count, against SQL by hand (N= members)
bench-tracking: ## Measure the tracking redirect, against a bare one (N= members)
bench-memory: ## Measure memory at rest, importing and sending (N= members, and a tenth)

test-faults: setup ## Kill services at 200 random moments, and account for everything (KILLS=, SEED=, PAIR=sqlite-kafka)
	@exec $(PY) -m tests.faults $(or $(KILLS),200) $(or $(SEED),0) $(PAIR)
