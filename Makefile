# make run: install into .venv and train the main model on real data. make test: the whole suite.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: run test setup lint bench clean

run: setup
	$(BIN)/runner model=textcnn data=movie_reviews

test: setup
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

setup: $(STAMP)

# torch comes first and alone: the exact version of constraints.txt, so that no newer build with gigabytes of extras is chosen.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[data,rl,pretrained,export,sweep,dev]"
	touch $(STAMP)

lint: setup
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy

bench: setup
	$(BIN)/python benchmarks/train_loop.py

clean:
	rm -rf .venv build dist outputs
