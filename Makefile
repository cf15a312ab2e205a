# `make` or `make help` lists what there is to do; `make venv` comes by itself where it is needed.
.DEFAULT_GOAL := help
.SHELLFLAGS := -eu -c
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
STEP := scripts/step
# What computes goes to one process (tests/scheduling.py) and has the longest way: it starts first. The last fill the gaps.
SUITES := tests/unit tests/cluster tests/faults tests/property
# A cluster for each of two processes, and a third that computes while these wait, and then helps; a file stays in one process.
# A process that dies is replaced once: xdist gives the test that it died of to the next one again.
SIDE_BY_SIDE := --numprocesses 3 --dist loadfile --no-loadscope-reorder --max-worker-restart 1
# What is worth keeping from one checkout to the next; a clean one with nothing changed checks types in two seconds.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/sluice
# Seconds, for all of them; each has a limit of its own (tests/limits.py).
TESTS_END_WITHIN := 3600

# Where the environment forbids to keep byte code, each of the hundreds of processes that tests start compiles everything again.
export PYTHONDONTWRITEBYTECODE :=

# KUBE_CONTEXT (demo, demo-down) and PYTHON (venv) reach the programs as they are given, on the command line or in the environment.

##@ See it work
.PHONY: demo demo-down
demo: venv ## the whole story on a local cluster; KUBE_CONTEXT=name takes an existing cluster instead
	@$(BIN)/python -m e2e.demo up

demo-down: venv ## remove everything that `make demo` made
	@$(BIN)/python -m e2e.demo down

##@ Work on it
.PHONY: venv lint format unit property faults cluster-test test image binaries generated crds chart reference requirements clean
venv: ## the virtual environment in .venv, from pinned and hashed requirements (PYTHON=python3.12 for another interpreter)
	@scripts/venv

format: venv ## let ruff format the code and mend what it can
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .

lint: venv ## ruff, mypy --strict and the import layers
	@$(STEP) ruff-check $(BIN)/ruff check .
	@$(STEP) ruff-format $(BIN)/ruff format --check .
	@$(STEP) mypy $(BIN)/mypy --cache-dir $(CACHE)/mypy operator/sluice e2e tests benchmarks
	@$(STEP) import-layers $(BIN)/lint-imports

unit: venv ## unit tests: no sockets, seconds
	@$(BIN)/pytest -q tests/unit

property: venv ## promises that hold for every input, on generated ones
	@$(BIN)/pytest -q tests/property

faults: venv ## cut lines, lost answers and silence, from a scripted server on loopback
	@$(BIN)/pytest -q tests/faults

cluster-test: venv ## tests on a real API server and node; the first run builds Kubernetes (about ten minutes)
	@$(BIN)/pytest -q $(SIDE_BY_SIDE) tests/cluster

test: export CI = 1 # the same generated examples as there: what is green here is green there
test: ## everything that CI runs, quietly; ends with pytest's closing line, or with the end of the failing part's log
	@$(STEP) venv scripts/venv
	@$(MAKE) lint
	@$(STEP) binaries $(BIN)/python -m e2e.cluster build
	@$(STEP) image $(BIN)/python -m e2e.images build sluice
	@$(STEP) model-server $(BIN)/python -m e2e.images build model-server
	@$(STEP) model $(BIN)/python -m e2e.demo.model
	@$(STEP) --closing-line '^=+ .* in .*=+$$' pytest timeout --foreground --signal=INT --kill-after=60 $(TESTS_END_WITHIN) $(BIN)/pytest $(SIDE_BY_SIDE) --durations=15 $(SUITES)

image: venv ## build the Sluice image without a container engine; prints its name, digest and OCI layout folder
	@$(BIN)/python -m e2e.images build sluice

binaries: venv ## build the local cluster's programs now (Kubernetes, etcd, CoreDNS, Helm, Prometheus, Sigstore, S3), instead of when they are first needed
	@$(BIN)/python -m e2e.cluster build

generated: crds chart reference ## write again everything that is generated and checked in; a test notices when it differs

crds: venv ## write crds/*.yaml from the models in operator/sluice/api
	@$(BIN)/python -m sluice.api.crd crds/

chart: venv ## write the chart's admission policies, webhook configurations and CRDs from the code
	@$(BIN)/python -m sluice.gate charts/sluice/templates

reference: venv ## write docs/reasons.md from the reason codes, docs/controls.md from the profiles, docs/families.md from the table
	@$(BIN)/python -m sluice.decision.reasons > docs/reasons.md
	@$(BIN)/python -m sluice.decision.frameworks examples/profiles > docs/controls.md
	@$(BIN)/python -m sluice.evidence.families > docs/families.md
	@$(BIN)/python -m sluice.cli.policy_cases > docs/policy-test.schema.json

requirements: venv ## resolve requirements/*.in again and write the pinned, hashed lists
	@scripts/lock

clean: ## remove what was built in this checkout (not the binaries of the local cluster, which are kept outside it)
	@rm -rf .venv build .pytest_cache .ruff_cache .import_linter_cache .hypothesis

##@ Learn
.PHONY: help
help: ## this text
	@echo 'Sluice decides which model releases may run on a Kubernetes cluster. Needs: Linux, root, Python >= 3.11, Go >= 1.26.'
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile
	@printf '\nLogs of the quiet steps are in build/log/. How to change something: CONTRIBUTING.md. How it is built: docs/.\n'
