# Two commands do all the set-up on a fresh machine with Python 3.10 or newer, make and pip:
#   make demo    segments the bundled examples with the bundled weights
#   make test    lints, checks types and runs the tests
# Another interpreter: make test PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Handed on to pytest: make test PYTEST_ARGS="-k floors", or PYTEST_ARGS="-n 8" on a machine with eight cores.
# Without it the tests run in two processes, because they take about eight minutes in one. Each process begins with
# half of the tests in their order, so most fixtures are made once.
PYTEST_ARGS ?= -n 2 --dist worksteal

DEMO_SCENE := examples/scene.jpg
DEMO_SCENE_EXPRESSIONS := "the person in yellow" "the person that is not yellow" "the mushroom above the ball"
DEMO_PHOTO := examples/coffee.jpg
DEMO_PHOTO_EXPRESSIONS := "the cup" "the spoon"

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test lint bench-check reproduce-small clean

help:
	@echo "make demo   segment $(DEMO_PHOTO) and $(DEMO_SCENE) with the bundled weights"
	@echo "make test   lint, check types, run the tests"
	@echo "make lint   lint and check types only"
	@echo "make bench-check  compare the speed of models, beside CLIPSeg, with the committed ratios"
	@echo "make reproduce-small  try the paper's main comparison: 13 minutes on two cores (docs/reproduction.md)"
	@echo "make clean  remove the environment and what was generated"

demo: $(INSTALLED)
	$(BIN)/m3att predict $(DEMO_SCENE) $(DEMO_SCENE_EXPRESSIONS) --model shaperef-tiny --out out/demo-scene
	$(BIN)/m3att predict $(DEMO_PHOTO) $(DEMO_PHOTO_EXPRESSIONS) --out out/demo

test: lint
	$(BIN)/python -m pytest -q $(PYTEST_ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict src examples

# Takes a few minutes on an idle machine. It is not one of the tests, because times depend on the machine.
bench-check: $(INSTALLED)
	@mkdir -p out
	$(BIN)/m3att bench speed --preset refcoco-darknet53 refcoco-swin-b --peer clipseg --expressions 1 10 \
		--threads 2 --rounds 3 --json out/speed.json
	$(BIN)/python benchmarks/speed_check.py out/speed.json

# The minimal example, M3Att against generic attention with three seeds, and what passes through the six networks.
# Given again after an interruption, it goes on.
REPRODUCED := out/reproduce-small
reproduce-small: $(INSTALLED)
	@mkdir -p $(REPRODUCED)
	$(BIN)/python benchmarks/minimal.py --json $(REPRODUCED)/minimal.json
	$(BIN)/m3att ablate --table 1 --rows 3-shared,3-generic --preset ablation-tiny --train.steps 600 \
		--train.validate_every 150 --seeds 3 --jobs 2 --images 200 --out $(REPRODUCED)/runs
	$(BIN)/python benchmarks/why.py $(REPRODUCED)/runs --images 80 --json $(REPRODUCED)/why.json

# Installs again only when what is to be installed has changed; __init__.py holds the version. A system whose venv
# module comes without pip (Debian without python3-venv) lends its own pip to the new environment.
$(INSTALLED): pyproject.toml constraints.txt src/m3att/__init__.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "m3att needs Python 3.10 or newer: make PYTHON=python3.11 ...")'
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || { \
		$(PYTHON) -m venv --clear --without-pip $(VENV) && $(PYTHON) -m pip --python $(BIN)/python install pip; }
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) out build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
