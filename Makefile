# `make demo` trains on the built-in clip art; `make test` runs every check. Both make .venv first.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint bench clean

demo: .venv/train.done
	$(BIN)/lexnet train clipart
	@bundle=$$(ls -t runs/clipart*/model.lexnet | head -n 1) && \
	folder=$$($(BIN)/python -c "from lexnet.data.samples import sample_folder; print(sample_folder('clipart'))") && \
	echo && echo "A few of its pictures, through the bundle it wrote:" && \
	(cd $$folder && ls */* | awk 'NR % 97 == 1') | (cd $$folder && $(CURDIR)/$(BIN)/lexnet predict $(CURDIR)/$$bundle - --top 3) && \
	echo && echo "Open the report in a browser: $$(dirname $$bundle)/report.html"

test: lint
	$(BIN)/python -m pytest

lint: .venv/dev.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

bench: .venv/dev.done
	$(BIN)/python benchmarks/$(NAME).py $(if $(QUICK),--quick)

.venv/%.done: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --editable '.[$*]'
	touch $@

clean:
	rm -rf .venv
