# Each target installs what it needs first: a virtual environment in .venv and, where there is none, Dolt.
# Recipes call .venv/bin/python -m …: the scripts' #! lines and old makes' PATH fail on some machines.

PYTHON ?= python3
DOLT_INSTALL_DIR ?= $(HOME)/.local/bin
ARGS ?=

SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
export DOLT_INSTALL_DIR
export PATH := $(CURDIR)/.venv/bin:$(DOLT_INSTALL_DIR):$(PATH)
# Without bytecode files, pip's included, every start of Python takes two to three times as long.
unexport PYTHONDONTWRITEBYTECODE

TEMPLATE := {{ cookiecutter.repo_name }}/src/{{ cookiecutter.python_package }}

# Where MkDocs and its theme's authors are at odds, Material says so at each build.
export NO_MKDOCS_2_WARNING := 1

.PHONY: help demo docs test test-thorough test-slow test-deep test-airflow torture oldest matrix plugins bench bench-check bench-full check clean dolt dolt-wheel nightly-environment
.NOTPARALLEL:

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /  make \1	/p' Makefile

demo: .venv/.demo-installed dolt ## generate a project in demo/, run it twice, show what changed in its data
	@scripts/demo

# Runs of Kedro wait as much as they compute: four at a time keep two cores busy.
test: .venv/.installed dolt ## run the tests; ARGS="-k name -x" reaches pytest
	@.venv/bin/python -m pytest --numprocesses 4 --dist loadgroup $(ARGS)

test-thorough: .venv/.installed dolt ## what make test leaves out: faults, races, more combinations; CI runs both
	@.venv/bin/python -m pytest -m thorough --numprocesses 4 --dist loadgroup $(ARGS)

test-slow: .venv/.slow-installed dolt ## wheel and sdist in new environments, a hundred real tables, the report in Chromium
	@.venv/bin/python -m pytest -m slow $(ARGS)

test-deep: .venv/.installed dolt ## thousands of random pairs of tables, saved as a difference and in full
	@KEDRO_DOLT_EXAMPLES=30 .venv/bin/python -m pytest tests/dolt/test_table_dataset.py -k full_save $(ARGS)

# Not in .venv: Airflow brings some two hundred packages with it.
test-airflow: .airflow/.installed dolt ## the project as an Airflow DAG, tasks at once on one Dolt server
	@.airflow/bin/python examples/airflow/demo.py

torture: .venv/.installed dolt ## faults by the hundred, half an hour; ARGS="--seed 7 --only kills" and more, see --help
	@.venv/bin/python -m torture $(ARGS)

docs: .venv/.docs-installed ## build the documentation's site into build/site, no warning allowed; ARGS=serve shows it as you write
	@.venv/bin/python scripts/reference --check
	@.venv/bin/python -m mkdocs $(or $(ARGS),build) --strict

bench: .venv/.bench-installed .mlflow/.installed dolt ## measure, beside other ways, into benchmarks/; ARGS=versions measures one thing
	@.venv/bin/python -m benchmarks --output benchmarks $(ARGS)

# What takes minutes: the whole of `make bench` is compared by hand, `python -m benchmarks.compare`.
bench-check: .venv/.bench-installed .mlflow/.installed dolt ## measure a whole run and a first save; fail if a ratio is worse than in benchmarks/results.md
	@mkdir -p build/bench
	@.venv/bin/python -m benchmarks --output build/bench whole_run save_table
	@.venv/bin/python -m benchmarks.compare benchmarks/results.md build/bench/whole_run-save_table.md $(ARGS)

bench-full: .venv/.bench-installed .mlflow/.installed dolt ## the same with larger tables and more versions: takes hours
	@.venv/bin/python -m benchmarks --full --output benchmarks $(ARGS)

check: .venv/.installed dolt ## lint, types, and the template's exact list of files
	.venv/bin/python -m ruff check
	.venv/bin/python -m ruff format --check
	.venv/bin/python -m mypy
	.venv/bin/python -m mypy benchmarks torture examples
	.venv/bin/lint-imports --no-logo
	.venv/bin/python scripts/audit
	.venv/bin/zizmor --offline --quiet --persona=pedantic .github/workflows examples/github/data-review.yml
	@# mypy wants a package's directory to have a Python name, which the template's gets only in a project.
	@mkdir -p build/template
	@ln -sfn "../../$(TEMPLATE)" build/template/iris_dolt
	MYPYPATH=build/template .venv/bin/python -m mypy -p iris_dolt
	@# What Cookiecutter fills in is text everywhere in the hooks.
	@mkdir -p build/hooks
	@for hook in hooks/*.py; do sed -E 's/\{\{[^}]*\}\}/"text"/' "$$hook" > "build/$$hook" || exit 1; done
	MYPYPATH=src/kedro_doltdb .venv/bin/python -m mypy --scripts-are-modules build/hooks/*.py
	.venv/bin/python -m pytest -q tests/project/test_generate.py -k exact_list_of_files

oldest: .venv/.installed dolt ## types, tables and whole runs with the oldest Kedro that we work with
	@.venv/bin/python -m nox --session oldest

matrix: .venv/.installed dolt ## the same with each Kedro, Python, pandas and SQLAlchemy of noxfile.py
	@.venv/bin/python -m nox --session versions $(ARGS)

plugins: .venv/.installed dolt ## Kedro-Viz, kedro-mlflow, kedro server and Ibis in a project of ours
	@.venv/bin/python -m nox --session plugins

clean: ## remove what these targets made here; Dolt stays where it was installed
	rm -rf .venv .airflow .mlflow .nox demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

dolt: .venv/.demo-installed
	@.venv/bin/python -m kedro_doltdb install --prefix "$(DOLT_INSTALL_DIR)"

nightly-environment: .venv/.installed ## the newest pre-releases of what we build on, into .venv
	.venv/bin/python -m pip install --disable-pip-version-check --progress-bar off --upgrade --pre \
	  kedro kedro-datasets pandas sqlalchemy pymysql

dolt-wheel: .venv/.release-installed ## build the wheel that carries Dolt into dist/, for this platform; ARGS="--platform linux-arm64"
	@.venv/bin/python packaging/dolt-binary/build.py $(ARGS)

# What `kedro new` and `kedro run` need, and no more.
.venv/.demo-installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "error: $(PYTHON) is not a Python 3.10 or newer; name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x .venv/bin/python || { echo "making the virtual environment .venv"; $(PYTHON) -m venv --clear .venv; }
	@echo "installing the package into .venv"
	.venv/bin/python -m pip install --disable-pip-version-check --progress-bar off --quiet --editable . "omegaconf<2.4"
	@touch $@

.venv/.installed: .venv/.demo-installed
	@echo "installing the development tools into .venv"
	.venv/bin/python -m pip install --disable-pip-version-check --progress-bar off --editable ".[dev]"
	@touch $@

.airflow/.installed: pyproject.toml
	@test -x .airflow/bin/python || $(PYTHON) -m venv .airflow
	.airflow/bin/python -m pip install --disable-pip-version-check --progress-bar off --editable . \
	  "apache-airflow>=3.2,<4" "kedro-airflow>=0.11,<1" "omegaconf<2.4"
	@touch $@

# Not in .venv: kedro-mlflow makes each start of Kedro take longer. The same Kedro and pandas as there.
.mlflow/.installed: .venv/.installed
	@test -x .mlflow/bin/python || $(PYTHON) -m venv .mlflow
	.mlflow/bin/python -m pip install --disable-pip-version-check --progress-bar off --editable . kedro-mlflow \
	  $$(.venv/bin/python -m pip freeze | grep -iE '^(kedro|kedro-datasets|numpy|omegaconf|pandas|sqlalchemy)==')
	@touch $@

.venv/.slow-installed: .venv/.installed
	.venv/bin/python -m pip install --disable-pip-version-check --progress-bar off --editable ".[browser,corpus]"
	@touch $@

.venv/.docs-installed: .venv/.demo-installed
	.venv/bin/python -m pip install --disable-pip-version-check --progress-bar off --quiet --editable ".[docs]"
	@touch $@

.venv/.release-installed: .venv/.installed
	.venv/bin/python -m pip install --disable-pip-version-check --progress-bar off --editable ".[release]"
	@touch $@

.venv/.bench-installed: .venv/.installed
	.venv/bin/python -m pip install --disable-pip-version-check --progress-bar off --editable ".[bench]"
	@touch $@
