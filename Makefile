# The front door: every command a person runs is a target. Everything installs what it needs into .venv and says so.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
REHEARSAL := $(BIN)/python -m rehearsal
BAD_DAYS := $(wildcard tests/pool/test_bad_days_*.py)

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo shell test test-core test-bad-days test-pool unit iam-simulator lint format clean \
        bench bench-router bench-hook bench-reaction bench-calls bench-create bench-cycle bench-reaper bench-replay \
        bench-plan bench-pack bench-cost prove-on-aws

help: ## what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

demo: $(VENV)/ready ## the main job: two users, three annexes, sixty jobs, and nothing left
	@$(REHEARSAL) demo

shell: $(VENV)/ready ## the demo's pool and cloud to play in, as an ordinary user; leaving it cleans up
	@$(REHEARSAL) shell

test: lint iam-simulator ## everything, unit to pool
	@$(MAKE) --no-print-directory -j2 test-core test-pool test-bad-days

# Two at a time, for a pool is mostly waited for; three pools or more are too much for two cores. sed passes on whole lines.
test-core: $(VENV)/ready
	@$(BIN)/pytest tests/unit tests/contract tests/aws | sed -u ''

# Without it the tests of IAM's policies are skipped, and say so. Before the tests side by side: dpkg has one lock.
iam-simulator: $(VENV)/ready
	@command -v npm >/dev/null || [ "$$(id -u)" != 0 ] || { \
	  echo "installing npm from Debian (a minute or two)"; \
	  apt-get -qq update && apt-get -qq install -y --no-install-recommends npm ca-certificates >/dev/null || true; }
	@$(BIN)/python -m tests.iam

test-bad-days: $(VENV)/ready
	@$(REHEARSAL) test $(BAD_DAYS) | sed -u ''

test-pool: $(VENV)/ready
	@$(REHEARSAL) test $(filter-out $(BAD_DAYS),$(wildcard tests/pool/test_*.py)) | sed -u ''

unit: $(VENV)/ready iam-simulator ## the tests that need no pool
	@$(BIN)/pytest -q tests/unit tests/contract tests/aws

lint: $(VENV)/ready ## formatting, types and the arrows between modules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(VENV)/ready ## put the sources into the project's form
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: bench-hook bench-reaper bench-calls bench-create bench-reaction bench-router bench-cycle bench-plan bench-pack bench-cost bench-replay ## all measures; each prints its ratio last

bench-hook: $(VENV)/ready ## a translate hook's process, beside a Python that does nothing
	@$(BIN)/python bench/hook.py

bench-plan: $(VENV)/ready ## one plan for a million idle jobs in 10,000 shapes, beside HTCondor's matching alone
	@$(BIN)/python -m bench.plan

bench-pack: $(VENV)/solver ## one instant's packing, beside the linear programme that packs fractions of jobs
	@$(BIN)/python -m bench.pack

bench-cost: $(VENV)/solver ## dollars for whole workloads, beside who knows the future and beside other policies; also SWF="FILE ..."
	@$(BIN)/python -m bench.cost $(SWF)

bench-replay: $(VENV)/ready ## a million jobs of 200 shapes through the planner, in simulated time
	@$(BIN)/python -m bench.replay

bench-router: $(VENV)/ready ## 5,000 jobs through an annex route, beside the same route without hooks
	@$(REHEARSAL) enter -- $(BIN)/python -m bench.router

bench-reaction: $(VENV)/ready ## from condor_submit's return to RequestSpotFleet on the wire
	@$(REHEARSAL) enter -- $(BIN)/python -m bench.reaction

bench-calls: $(VENV)/ready ## AWS calls until the fleet is requested, for 1 job and for 10,000
	@$(REHEARSAL) enter -- $(BIN)/python -m bench.calls

bench-create: $(VENV)/ready ## create, renew and status by hand, beside the withdrawn condor_annex
	@$(REHEARSAL) enter -- $(BIN)/python -m bench.create

bench-cycle: $(VENV)/ready ## a look around of the daemon with 20,000 idle jobs in the queue, AWS's time apart
	@$(REHEARSAL) enter -- $(BIN)/python -m bench.cycle

bench-reaper: $(VENV)/ready ## a run of the reaper over 1,000 fleets and 3,000 instances: calls and seconds
	@$(BIN)/python -m bench.reaper

prove-on-aws: $(VENV)/ready ## what only AWS can show, with five small Spot instances; asks before it spends
	@PYTHONPATH=. $(BIN)/python tools/prove_on_aws.py $(PROVE)

clean: ## remove what was installed here; the images in the cache stay
	rm -rf $(VENV)

$(VENV)/ready: pyproject.toml
	@echo "installing Python packages into $(VENV) (a minute or two)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; say which with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { \
	  [ "$$(id -u)" = 0 ] || { echo "Debian's package python3-venv is needed"; exit 1; }; \
	  echo "installing python3-venv from Debian"; \
	  apt-get -qq update && apt-get -qq install -y --no-install-recommends python3-venv >/dev/null && \
	  $(PYTHON) -m venv --clear $(VENV); }
	@$(BIN)/pip install -qq --disable-pip-version-check --editable '.[rehearsal,replay,test]'
	@$(BIN)/python -m venv $(VENV)/scheduler # with a botocore of its own, older than ours
	@$(VENV)/scheduler/bin/pip install -qq --disable-pip-version-check 'ministack>=1.5,<2' boto3
	@touch $@

# scipy's HiGHS, which benches alone need.
$(VENV)/solver: $(VENV)/ready
	@$(BIN)/pip install -qq --disable-pip-version-check --editable '.[bench]'
	@touch $@
