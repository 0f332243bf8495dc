# Everything runs in a virtual environment of its own; `make demo` and `make test` set it up first where needed.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo space label test browser quality style release wheel clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(STAMP)  ## render pictures, train, measure, publish into outputs/demo, use the result and explain it
	$(BIN)/python scripts/demo.py

space: $(STAMP)  ## serve the page on this machine, with the demo's checkpoint or make space MODEL_ID=<checkpoint>
	$(BIN)/python -m pip install --quiet --editable ".[space]"
	MODEL_ID="$(MODEL_ID)" $(BIN)/python spaces/image_aesthetics/app.py

label: $(STAMP)  ## ask people which of two pictures they prefer: make label TASK=<folder with comparisons.csv> PICTURES=<folder>
	@test -n "$(TASK)" || { echo "error: say what to ask: make label TASK=<folder with comparisons.csv>"; exit 2; }
	$(BIN)/python -m pip install --quiet --editable ".[data,space]"
	TASK="$(TASK)" PICTURES="$(PICTURES)" $(BIN)/python spaces/pairwise_labelling/app.py

test: $(STAMP)  ## run the whole test suite with coverage
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --cov --cov-report=term-missing:skip-covered --cov-fail-under=90

browser: $(STAMP)  ## install what the tests of the page need, and are skipped without: gradio, playwright, a browser
	$(BIN)/python -m pip install --quiet --editable ".[space]" --group browser
	@for name in chromium chromium-browser google-chrome; do command -v $$name && exit; done; \
	if [ "$$(id -u)" != 0 ]; then as_root="sudo --non-interactive"; fi; \
	$$as_root apt-get update --quiet=2 && $$as_root apt-get install --quiet=2 --no-install-recommends chromium

quality: $(STAMP)  ## check style and types
	$(BIN)/python -c "import hf_aesthetics"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/ty check

style: $(STAMP)  ## mend style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

release: $(STAMP)  ## publish what the licences allow, with a verdict on each: make release ORG=you
	@test -n "$(ORG)" || { echo "error: say where to: make release ORG=<user or organisation>"; exit 2; }
	$(BIN)/python scripts/release.py $(ORG) $(ARGS)

wheel: $(STAMP)  ## build the wheel into dist/
	$(BIN)/python -m build --wheel --no-isolation

clean:  ## remove what the other targets made
	rm -rf $(VENV) outputs dist build .pytest_cache .ruff_cache .coverage

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[all]" --group dev
	@touch $@
