.PHONY: help venv tools test demo format lock cases
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

venv: .venv/.installed ## Make .venv with everything that development needs
.venv/.installed: requirements-dev.lock pyproject.toml
	@echo "Installing into .venv"
	@sh tests/make-venv $(PYTHON)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

tools: venv ## Install the real tools that judge the output
	@$(BIN)/python tests/install-tools

test: tools ## Check style, types, layers and the rendered tree; run the tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/mrc render --check
	$(BIN)/pytest -q -n 2 --cov --cov-report=term

demo: venv ## Check and render the example fleet
	@echo; echo "mrc check: is anything wrong?"; $(BIN)/mrc check
	@echo; echo "mrc render: what Kubernetes, Triton and Prometheus accept"
	@rm -rf .demo && mkdir .demo && cp -r mrc.yaml policies environments .demo/
	@cd .demo && ../$(BIN)/mrc render && echo && find rendered -name '*.*' | sort | sed 's/^/  /' && rm -rf ../.demo

format: venv ## Format the code
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

lock: ## Pin every dependency anew
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --no-annotate --extra s3 pyproject.toml -o requirements.lock
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --no-annotate --extra s3 --group dev pyproject.toml -o requirements-dev.lock

cases: venv ## Write the golden cases anew; read the diff
	MRC_REWRITE_CASES=1 $(BIN)/pytest -q tests/test_cases.py
