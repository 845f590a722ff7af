# `make demo` trains on the built-in clip art; `make test` runs every check. Both make .venv first.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lint bench bench-env clean

demo: .venv/train.done
	$(BIN)/lexnet train clipart --mode probe
	@bundle=$$(ls -t runs/clipart*/model.lexnet | head -n 1) && \
	folder=$$($(BIN)/python -c "from lexnet.data.samples import sample_folder; print(sample_folder('clipart'))") && \
	echo && echo "A few of its pictures, through the bundle it wrote:" && \
	(cd $$folder && ls */* | awk 'NR % 97 == 1') | (cd $$folder && $(CURDIR)/$(BIN)/lexnet predict $(CURDIR)/$$bundle - --top 3) && \
	echo && echo "Open the report in a browser: $$(dirname $$bundle)/report.html"

test: lint
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lint: .venv/dev.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy
	$(BIN)/mypy --config-file= --ignore-missing-imports --follow-imports=silent --check-untyped-defs benchmarks

# Benchmarks that run other people's libraries beside ours need those of bench-env.
PEERS := nets check augment rivals
bench: $(if $(filter $(NAME),$(PEERS)),bench-env,.venv/dev.done)
	$(if $(filter $(NAME),$(PEERS)),.venv-peers/bin,$(BIN))/python benchmarks/$(NAME).py $(if $(QUICK),--quick)

bench-env: .venv-peers/peers.done

.venv-peers/peers.done: pyproject.toml constraints.txt benchmarks/peers.txt
	test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[train]'
	.venv-peers/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt --requirement benchmarks/peers.txt
	touch $@

.venv/%.done: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --editable '.[$*]'
	touch $@

clean:
	rm -rf .venv .venv-peers
