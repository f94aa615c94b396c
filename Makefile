# make demo and make test work on a fresh clone with nothing installed but Python >= 3.11 and make.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
STORE := results/runs/demo

.PHONY: demo test check format clean

demo: $(INSTALLED)
	$(BIN)/hsicl sweep demo --executor ray --store $(STORE)
	$(BIN)/hsicl leaderboard --store $(STORE)
	$(BIN)/hsicl report --store $(STORE)

test: check
	$(BIN)/pytest

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv results/runs report/build *.egg-info
