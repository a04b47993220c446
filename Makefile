# Each target works on a fresh machine with Python 3.11 or later and make; .venv is made on the way.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?=

.PHONY: help demo test test-ddblocal test-transports lint second-evaluator old-clients ansible coverage wheel bench bench-quick clean

help: ## what there is to make
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

demo: $(VENV)/.installed ## put, list, rotate and get real secrets in an embedded store under .demo/
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh docs/demo.sh

test: $(VENV)/.developed ## run the tests (starts and stops AWS emulators on free loopback ports)
	@echo "running the tests with the AWS emulators ministack and moto; tiers that are not enabled say how"
	$(BIN)/python -m pytest -n auto $(PYTEST_ARGS)

test-ddblocal: $(VENV)/.developed ## run the store's contract on Amazon's DynamoDB Local in $DYNASTASH_DDBLOCAL_DIR
	$(BIN)/python -m pytest -m ddblocal $(PYTEST_ARGS)

test-transports: $(VENV)/.developed ## run the command line's tests on AWS under each transport and compare what they print
	$(BIN)/python -m tests.cli.recording -n auto

coverage: ## run the tests as `make test` does, and measure coverage; require 95 % of lines and branches
	$(MAKE) --no-print-directory test PYTEST_ARGS="--cov --cov-report=term --cov-fail-under=95 $(PYTEST_ARGS)"

second-evaluator: .node/.installed ## install the second evaluator of policies, which the tests then ask too (npm, some 20 MB)

.node/.installed:
	npm install --prefix .node --no-save --no-audit --no-fund --silent @cloud-copilot/iam-simulate@0.1.173
	@touch $@

old-clients: .clients/.installed ## install the real credstash and its ports to Node, for the tests to be held against (pip, npm; 200 MB)

.clients/.installed:
	$(PYTHON) -m venv .clients/credstash
	.clients/credstash/bin/python -m pip install --quiet --disable-pip-version-check credstash==1.17.1
	if command -v npm >/dev/null; then npm install --prefix .clients/node --no-save --no-audit --no-fund --silent \
		nodecredstash@2.0.2 credstash@1.0.44; fi
	@touch $@

ansible: .ansible/.installed ## install Ansible with its lookup for credstash, which the tests of the drop-in then call (pip; 150 MB)

# Of the package of all collections, one collection: the wheel has 54 MB, and all of it installed 500.
.ansible/.installed:
	$(PYTHON) -m venv .ansible
	.ansible/bin/python -m pip install --quiet --disable-pip-version-check ansible-core==2.19.14 --editable . --editable ./dropin
	.ansible/bin/python -m pip download --quiet --disable-pip-version-check --no-deps --dest .ansible ansible==12.3.0
	.ansible/bin/python -m tests.dropin.unpack .ansible/ansible-12.3.0-py3-none-any.whl .ansible/collections
	rm .ansible/ansible-12.3.0-py3-none-any.whl
	@touch $@

lint: $(VENV)/.developed ## style, types, the architecture's contracts, the templates and policies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg
	cd dropin && ../$(BIN)/lint-imports --config setup.cfg
	$(BIN)/cfn-lint cloudformation/*.yaml
	$(BIN)/python -m tests.lint_policies

wheel: $(VENV)/.developed ## build the two wheels, install them into an empty environment and run them there
	sh tests/wheel.sh "$(CURDIR)/$(BIN)/python"

bench: .bench/tools/.installed ## measure dynastash beside its peers, some four minutes; docs/performance.md says how to read it
	.bench/tools/bin/python -m bench

bench-quick: .bench/tools/.installed ## the same in about a minute, with fewer rounds and smaller tables
	.bench/tools/bin/python -m bench --quick

clean: ## remove what the other targets made
	rm -rf $(VENV) .node .clients .ansible .demo .bench build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/bin/python:
	@echo "making $(VENV)"
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml $(VENV)/bin/python
	@echo "installing dynastash into $(VENV)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.developed: pyproject.toml dropin/pyproject.toml $(VENV)/bin/python
	@echo "installing dynastash, its tests' AWS emulators and the linters into $(VENV) (some 500 MB)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]' --editable ./dropin
	@touch $@ $(VENV)/.installed

.bench/tools/.installed: bench/requirements.txt
	@echo "making .bench/tools; the peers get environments of their own beside it (some 500 MB)"
	$(PYTHON) -m venv .bench/tools
	.bench/tools/bin/python -m pip install --quiet --disable-pip-version-check -r bench/requirements.txt
	@touch $@
