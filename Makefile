# Each target makes what it needs on a fresh machine: `make demo` or `make test` is all there is to type.
#
#   PYTHON=python3.12 make test     with another Python (3.10 to 3.13)
#   WORKERS=4 make test             four tests at a time, not three
#   ROS 2 sourced                   that ROS is used; otherwise one comes from wheels
#   PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make setup     no CUDA: a tenth of the download

SHELL := bash
PYTHON ?= python3
VENV ?= .venv
# One more than cores, of which two are expected: who starts nodes mostly waits.
WORKERS ?= 3
MINUTES ?= 30
FAULTS ?= 200
CASES ?= 100000
export PYTHON

BIN := $(VENV)/bin
# One stamp for each Python and ROS: with another one it is set up again.
ROS := $(or $(if $(AMENT_PREFIX_PATH),$(ROS_DISTRO)),wheels)
STAMP := $(VENV)/.set-up-$(ROS)-$(subst /,-,$(PYTHON))
# What is installed, with hashes; of the environment's Python.
PINS = constraints/hashes/python$(shell $(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])').txt
SETUP_INPUTS := $(wildcard setup.py setup.cfg package.xml constraints/*.txt requirements/*.txt \
    scripts/setup_environment.sh scripts/build_interfaces.py \
    interfaces/*/* interfaces/*/msg/*)

.PHONY: help setup demo test fuzz soak audit sbom lint benchmark benchmark-gpu docs clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv: dependencies, and ROS 2 from wheels where none is sourced

$(STAMP): $(SETUP_INPUTS)
	@scripts/setup_environment.sh $(VENV)
	@rm -f $(VENV)/.set-up-* && touch $@

demo: $(STAMP) ## play the built-in recording into the perception node, over real ROS 2
	@$(BIN)/python -m step_ros.ros.demo

test: $(STAMP) ## every test, the linters among them
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses=$(WORKERS) --durations=15 $(PYTEST_ARGUMENTS)

fuzz: $(STAMP) ## images, model folders, parameter and label files: CASES=100000 broken ones of each
	@FUZZ_CASES=$(CASES) $(BIN)/python -m pytest test/fuzz

soak: $(STAMP) ## two cameras for MINUTES=30, then FAULTS=200 random faults: memory, latency, no frame lost
	@$(BIN)/python benchmarks/soak.py --minutes $(MINUTES)
	@FAULTS=$(FAULTS) $(BIN)/python -m pytest -s test/behaviour/test_faults.py

audit: $(STAMP) ## are the pinned dependencies known to be vulnerable? (pip-audit, in an environment of its own)
	@test -x $(VENV)/audit/bin/pip-audit || { $(BIN)/python -m venv $(VENV)/audit && \
	    $(VENV)/audit/bin/pip install --quiet pip-audit; }
	@$(VENV)/audit/bin/pip-audit --strict --disable-pip --require-hashes --requirement $(PINS)

sbom: $(STAMP) ## the pinned dependencies with their hashes as a CycloneDX bill of materials, build/sbom.json
	@test -x $(VENV)/sbom/bin/cyclonedx-py || { $(BIN)/python -m venv $(VENV)/sbom && \
	    $(VENV)/sbom/bin/pip install --quiet cyclonedx-bom; }
	@mkdir -p build && $(VENV)/sbom/bin/cyclonedx-py requirements --output-reproducible --of JSON \
	    --output-file build/sbom.json $(PINS)

lint: $(STAMP) ## the linters alone: ruff, mypy, ROS's own, package.xml, the rooms
	@$(BIN)/python -m pytest -q test/style

benchmark: $(STAMP) ## what an update costs on this processor, into benchmarks/results and docs/performance.md
	@$(BIN)/step-ros benchmark --preset cpu --json benchmarks/results/cpu.json
	@$(BIN)/step-ros benchmark-page --results benchmarks/results/cpu.json

benchmark-gpu: $(STAMP) ## every test that needs an NVIDIA GPU, then what an update costs on it, into benchmarks/results
	@STEP_ROS_REQUIRE_CUDA=1 $(BIN)/python -m pytest -m needs_cuda
	@$(BIN)/step-ros benchmark --preset gpu --json 'benchmarks/results/{gpu}.json'

docs: $(STAMP) ## the documentation as a site in build/site, built strictly
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

clean: ## remove everything that the other targets made
	rm -rf $(VENV) build install log demo_output *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
