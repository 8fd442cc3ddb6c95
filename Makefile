# make run: install into .venv and train the main model on real data. make test: the whole suite.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: run test setup lint bench book commands docs docs-serve clean

run: setup
	$(BIN)/runner model=textcnn data=movie_reviews

test: setup
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

setup: $(STAMP)

# torch comes first and alone: the exact version of constraints.txt, so that no newer build with gigabytes of extras is chosen.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[data,rl,pretrained,export,sweep,ray,demo,docs,dev]"
	touch $(STAMP)

lint: setup
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy

bench: setup
	$(BIN)/python benchmarks/train_loop.py

# The experiments of the book that have no result yet: one night on two cores. Stopped and started again, it resumes.
book: setup
	$(BIN)/python benchmarks/book.py

# Every training command of README and docs, with trainer=debug: half an hour of one core.
commands: setup
	$(BIN)/python tests/docs/type_commands.py

# The site, in site/: a warning or a broken link is an error.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "open site/index.html"

docs-serve: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

clean:
	rm -rf .venv build dist outputs site
