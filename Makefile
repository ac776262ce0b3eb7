# Each target makes what it needs on a fresh machine: `make demo` or `make test` is all there is to type.
#
#   PYTHON=python3.12 make test     with another Python (3.10 to 3.13)
#   ROS 2 sourced                   that ROS is used; otherwise one comes from wheels
#   PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make setup     no CUDA: a tenth of the download

SHELL := bash
PYTHON ?= python3
VENV ?= .venv
export PYTHON

BIN := $(VENV)/bin
# One stamp for each Python and ROS: with another one it is set up again.
ROS := $(or $(if $(AMENT_PREFIX_PATH),$(ROS_DISTRO)),wheels)
STAMP := $(VENV)/.set-up-$(ROS)-$(subst /,-,$(PYTHON))
SETUP_INPUTS := $(wildcard setup.py setup.cfg package.xml constraints/*.txt requirements/*.txt \
    scripts/setup_environment.sh scripts/build_vision_msgs.py \
    interfaces/vision_msgs/* interfaces/vision_msgs/msg/*)

.PHONY: help setup demo test lint clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv: dependencies, and ROS 2 from wheels where none is sourced

$(STAMP): $(SETUP_INPUTS)
	@scripts/setup_environment.sh $(VENV)
	@rm -f $(VENV)/.set-up-* && touch $@

demo: $(STAMP) ## play the built-in recording into the perception node, over real ROS 2
	@$(BIN)/python -m step_ros.ros.demo

test: $(STAMP) ## every test, the linters among them
	@$(BIN)/python -m pytest $(PYTEST_ARGUMENTS)

lint: $(STAMP) ## the linters alone: ruff, mypy, ROS's own, package.xml, the rooms
	@$(BIN)/python -m pytest -q test/style

clean: ## remove everything that the other targets made
	rm -rf $(VENV) build install log demo_output *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
