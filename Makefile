.DEFAULT_GOAL := help
.PHONY: help venv tools test test-cluster fuzz coverage demo format cases reference lock benchmark benchmark-reconciler
MAKEFLAGS += --no-print-directory
# Kept, whatever the environment says: a dozen processes of the tests read the same modules.
export PYTHONDONTWRITEBYTECODE :=

# Triton, which judges in the tests, goes with no newer Python than 3.12; mrc itself does. `make PYTHON=... venv` names one.
fits = $(firstword $(foreach name,$(1),$(shell $(name) -c 'import sys; sys.exit(not $(2))' 2>/dev/null && echo $(name))))
judged = $(call fits,python3 python3.12 python3.11,(3, 11) <= sys.version_info < (3, 13))
PYTHON ?= $(or $(judged),$(call fits,python3 python3.14 python3.13,sys.version_info >= (3, 13)),python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
# uv is ten times faster; pip is asked where it fails, since pip may have an index or a proxy of its own configured.
UV_INSTALL := $(BIN)/uv --quiet --no-progress pip install --python $(BIN)/python
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo)

# $(call step,NAME,COMMAND): one line when it goes well, everything that it said when it does not.
step = @printf '%-18s ' '$(1)'; begin=$$(date +%s); \
  if said=$$( { $(2); } 2>&1 ); then echo "ok, $$(( $$(date +%s) - begin )) s"; \
  else echo FAILED; printf '%s\n' "$$said"; exit 1; fi

help: ## Show this list
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1 \2/p' $(MAKEFILE_LIST) | while read -r name text; do \
	  printf '  make %-12s %s\n' "$$name" "$$text"; done

venv: .venv/.installed ## Install everything that development needs into .venv

# Debian and Ubuntu ship the module venv apart from Python, in a package named after its version.
.venv/.installed: requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "mrc needs Python 3.11 or newer: make PYTHON=/path/to/python venv" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || command -v apt-get >/dev/null || \
	  { echo "$(PYTHON) has no ensurepip: install the package that brings it, and run make again" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(MAKE) .system
	$(call step,make .venv,$(PYTHON) -m venv --clear .venv)
	@sed -n '/^uv==/,/[^\\]$$/p' requirements-dev.lock > .venv/uv.lock
	$(call step,uv,$(PIP) install --require-hashes -r .venv/uv.lock)
	$(call step,locked packages,$(UV_INSTALL) --compile-bytecode --require-hashes -r requirements-dev.lock || \
	  $(PIP) install --require-hashes -r requirements-dev.lock)
	$(call step,mrc itself,$(PIP) install --no-deps --no-build-isolation -e . && $(BIN)/python -m compileall -q compiler)
	@touch $@

# $(call debian,NAME,PACKAGES): what this machine lacks, from its distribution.
debian = $(call step,apt: $(1),$(AS_ROOT) apt-get update -qq && \
  $(AS_ROOT) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(2))

.PHONY: .system
.system:
	$(call debian,python venv,"$$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')")

# git asks them to go by SSH and to sign, and does not bring them.
.PHONY: ssh .openssh
ssh:
	@command -v ssh >/dev/null && command -v ssh-keygen >/dev/null || $(MAKE) .openssh

.openssh:
	$(call debian,openssh client,openssh-client)

tools: venv ssh ## Install the real tools that judge the output (Prometheus, Triton, Argo, kubectl)
	@$(BIN)/python tests/install-tools

test: tools ## Check style, types, layers and the rendered tree; run the tests
	$(call step,ruff check,$(BIN)/ruff check)
	$(call step,ruff format,$(BIN)/ruff format --check)
	$(call step,mypy,$(BIN)/mypy)
	$(call step,layers,$(BIN)/lint-imports)
	$(call step,example fleet,$(BIN)/mrc render --check)
	@$(BIN)/pytest -q -n 3 --dist worksteal

test-cluster: venv ssh ## Roll out, fail and go back on a real control plane, which the first run builds
	@$(BIN)/python tests/install-tools prometheus alertmanager crds kubectl control-plane kwok
	@$(BIN)/pytest -q -n 12 --dist worksteal tests/cluster

fuzz: tools ## Try MRC_FUZZ=20 times as many examples of every property, new ones each time
	@MRC_FUZZ=$${MRC_FUZZ:-20} $(BIN)/pytest -q -n 2 --dist worksteal -m hypothesis

coverage: tools ## Say which lines of mrc no test passes
	@$(BIN)/pytest -q -n 3 --dist worksteal --cov --cov-report=term

demo: venv ## Check and render the example fleet, then play how a bad version is taken back
	@set -e; mrc="$$PWD/$(BIN)/mrc"; fleet=$$(mktemp -d); trap 'rm -rf "$$fleet"' EXIT; \
	cp -r mrc.yaml policies environments "$$fleet"; cd "$$fleet"; \
	printf '\nmrc check: is anything wrong with it?\n  '; "$$mrc" check 2>&1; \
	printf '\nmrc render: what Kubernetes, Argo, Istio, Triton and Prometheus take\n  '; "$$mrc" render 2>&1; echo; \
	for folder in rendered/*/*/; do \
	  printf '  %-32s %2d files   %s\n' "$${folder%/}" "$$(ls "$$folder" | wc -l)" \
	    "$$(sed -n 's/^\(Version .*\)\.$$/\1/p' "$$folder/RUNBOOK.md" | tr -d '*')"; \
	done; echo; \
	grep -rhE '^kind: [A-Z]' rendered | grep -v Kustomization | sort | uniq -c | sort -rn | \
	  awk '{ printf "%s%s %s", (NR > 1 ? ", " : "  "), $$1, $$3 } END { print "" }' | \
	  fold -s -w 100 | sed "s/^ */  /; s/ *$$//"; \
	printf '\nRead on: rendered/production/sentiment/RUNBOOK.md, and the policy it comes from.\n'; \
	printf '\nmrc demo: what happens when a version is bad\n\n'; "$$mrc" demo

format: venv ## Format the code, and repair what can be repaired
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

benchmark: venv ## Compare mrc render with helm template and kubectl kustomize, on the same fleets
	@$(BIN)/python benchmarks/run.py

benchmark-reconciler: venv ## Measure the reconciler in a repository of 10,000 models
	@$(BIN)/python benchmarks/reconciler.py

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --no-header --no-annotate $(UPGRADE) --extra s3 --extra reconcile pyproject.toml

cases: venv ## Write the golden cases and the tutorial anew; then read the diff
	@MRC_REWRITE_CASES=1 $(BIN)/pytest -q tests/test_cases.py tests/test_tutorial.py
	@git diff --stat -- tests/cases docs/tutorial

reference: venv ## Write docs/reference/ and .schemas/ anew from the code
	@$(BIN)/python docs/make_reference.py
	@git diff --stat -- docs/reference .schemas

lock: venv ## Pin what pyproject.toml asks for; with UPGRADE=--upgrade the newest of everything
	$(call step,requirements.lock,$(COMPILE) --output-file requirements.lock)
	$(call step,the same for dev,$(COMPILE) --group dev --output-file requirements-dev.lock)
