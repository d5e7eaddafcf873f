# Two commands do all the set-up: `make serve` runs the example site, `make test` passes the tests.
# Both install what they need from PyPI into .venv.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: serve test soak check bench format clean

serve: $(INSTALLED)  ## the example site at http://127.0.0.1:8000
	$(BIN)/dispatcher serve

test: $(INSTALLED)  ## the tests, in under four minutes
	$(BIN)/python -m pytest -m "not soak" $(PYTEST_ARGS)

soak: $(INSTALLED)  ## the tests that take minutes
	$(BIN)/python -m pytest -m soak

check: $(INSTALLED)  ## everything else that guards the code
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/dispatcher check

bench: $(INSTALLED)  ## the benchmarks, ours and the peers' in the same run
	for name in stack static limits logs reload; do $(BIN)/python -m benchmarks.$$name || exit 1; done

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv logs var

$(INSTALLED): pyproject.toml
	@echo "Installing into .venv; the first time this takes about a minute."
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@
