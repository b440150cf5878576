# Two commands do all the set-up: `make demo` walks the whole loop, `make test` runs every test.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# jlpm's scripts call jlpm and jupyter-builder again.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help demo lab test test-js test-py lint build lock clean browser

help:
	@echo "make demo   walk the loop end to end on an example, headless"
	@echo "make lab    open JupyterLab with the panel on the example notebooks"
	@echo "make test   install everything and run all tests"
	@echo "make lint   ruff, mypy, the layers, eslint, prettier, tsc"
	@echo "make build  build the wheel and the sdist into dist/"
	@echo "make lock   renew constraints.txt"

# --- environments -------------------------------------------------------------------------------

$(BIN)/uv:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install it, or make PYTHON=python3.12 ..."; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "uv>=0.4"

# The locked packages, without this one: all that `make demo` needs besides the source.  Compiled
# once here: where PYTHONDONTWRITEBYTECODE is set, each process would compile them again.
$(VENV)/.packages: constraints.txt pyproject.toml | $(BIN)/uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt \
	    --requirement pyproject.toml --all-extras
	@touch $@

# Installed without the JupyterLab bundle: the command line, the magic and the agent need no Node.
$(VENV)/.package: $(VENV)/.packages labextension/package.json
	SKIP_JUPYTER_BUILDER=1 $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps \
	    --no-build-isolation --editable .
	@touch $@

# --- the JupyterLab bundle ----------------------------------------------------------------------

labextension/node_modules/.yarn-state.yml: labextension/package.json labextension/yarn.lock $(VENV)/.packages
	@command -v node >/dev/null || { echo "node not found: building the panel needs Node 20 or later"; exit 2; }
	cd labextension && ../$(BIN)/jlpm install --immutable
	@touch $@

BUNDLE := jupyter_mlops/labextension/package.json
$(BUNDLE): labextension/node_modules/.yarn-state.yml $(shell find labextension/src labextension/style labextension/schema -type f 2>/dev/null)
	cd labextension && ../$(BIN)/jlpm build:prod
	@touch $@

# JupyterLab finds the bundle under the environment's share/, as it does in an installed wheel.
$(VENV)/.bundle: $(BUNDLE) $(VENV)/.package jupyter-config/server-config/jupyter_mlops.json
	$(BIN)/python scripts/link_bundle.py
	@touch $@

# --- what people call -----------------------------------------------------------------------------

demo: $(VENV)/.package
	$(BIN)/python scripts/demo.py

lab: $(VENV)/.bundle
	$(BIN)/jupyter lab --ip=127.0.0.1 example_notebooks

browser:
	sh scripts/ensure_chromium.sh

test: $(VENV)/.bundle browser lint test-js test-py

test-js: $(VENV)/.bundle
	cd labextension && ../$(BIN)/jlpm test

test-py: $(VENV)/.bundle
	$(BIN)/python -m pytest $(PYTEST)

lint: $(VENV)/.bundle
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd labextension && ../$(BIN)/jlpm typecheck && ../$(BIN)/jlpm lint:check

build: labextension/node_modules/.yarn-state.yml
	rm -rf dist jupyter_mlops/labextension
	$(BIN)/python -m build --no-isolation

lock: | $(BIN)/uv
	$(BIN)/uv pip compile pyproject.toml --all-extras --python-version 3.11 --no-header \
	    --no-annotate --no-emit-index-url --no-emit-find-links --quiet --output-file constraints.txt

clean:
	rm -rf dist build jupyter_mlops/labextension labextension/lib $(VENV)/.package $(VENV)/.bundle
