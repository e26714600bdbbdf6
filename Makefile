# `make` alone prints what there is. Every target that needs it makes .venv first; nothing is installed outside it.

# Another Spark or Python on this machine must not answer in place of the one in .venv.
unexport SPARK_HOME SPARK_CONF_DIR PYTHONPATH PYSPARK_PYTHON PYSPARK_DRIVER_PYTHON PYSPARK_SUBMIT_ARGS

BIN := .venv/bin
# PYTHON=... says what to make .venv with; once there is one, that is the Python to look at.
CHECK := PYTHON="$(or $(shell test -x $(BIN)/python && echo $(BIN)/python),$(PYTHON))" sh tools/prerequisites.sh
PIP = $(@D)/bin/python -m pip install --quiet --disable-pip-version-check

# The releases of Spark that are tested beside that of .venv, which is the first row; X.Y is tested in .venv-X.Y.
VERSIONS := parsely_spark/data/versions.csv
OLDER := $(shell sed -nE '3,$$s/^([0-9]+\.[0-9]+)\..*/\1/p' $(wildcard $(VERSIONS)) </dev/null)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: help prerequisites dev demo notebooks test test-matrix test-oldest test-connect soak bench check format docs wheel dist lock clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

prerequisites:
	@$(CHECK) >/dev/null

dev: prerequisites .venv/.jars ## set up .venv: locked packages, this package, Delta's and S3A's jars

# --clear, because this is also reached when the Python that an older .venv points to is gone.
%/bin/python: | prerequisites
	@"$$($(CHECK))" -m venv --clear $*

# Those below are stamps: a second `make dev` costs no more than the check of prerequisites.
define install
	@echo "installing the packages of $< into $(@D) ..."
	@$(PIP) --require-hashes -r $<
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@
endef

.venv/.packages: requirements.lock pyproject.toml $(BIN)/python
	$(install)

.venv-%/.packages: requirements-spark-%.lock pyproject.toml .venv-%/bin/python
	$(install)

# Only what is measured beside the package: it must not be found by what is measured.
.venv-bench/.packages: requirements-bench.lock .venv-bench/bin/python
	@echo "installing the packages of $< into $(@D) ..."
	@$(PIP) --require-hashes -r $<
	@touch $@

.venv/.jars: .venv/.packages conf/jars.lock tools/jars.py
	@$(@D)/bin/python tools/jars.py
	@touch $@

.venv-%/.jars: .venv-%/.packages conf/jars-spark-%.lock tools/jars.py
	@$(@D)/bin/python tools/jars.py
	@touch $@

demo: dev ## the whole of it on this machine: generate a day, build the tables and print what is in them
	@$(BIN)/parsely-spark demo

notebooks: dev ## run the notebooks on the lake of `make demo` and write the pictures of docs/notebooks.md
	@$(BIN)/python tools/notebooks.py

test: dev ## run the tests, in two processes with a Spark each
	@$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

# What shows the promises, in minutes: the versions themselves, Ctrl-C; every kind of line, every table row for row; folds that
# are begun twice, or overtaken by a rebuild or OPTIMIZE; both doors, slices and restarts of a stream, and its gaps.
MATRIX_TESTS := $(addprefix tests/test_,versions.py surroundings.py parse.py truncation.py batch.py fold.py stream.py) \
    -k "versions or ctrl_c or test_parse or truncation or (test_batch and not hours) or believes or made_again or upkeep \
    or doors or slices or followed or stream_lost"
test-matrix: $(OLDER:%=test-spark-%) ## run some of the tests on each older Spark, in environments of their own

test-spark-%: .venv-%/.jars
	@echo "Spark $*:"
	@.venv-$*/bin/python -m pytest $(MATRIX_TESTS)

# As a client of Spark Connect, which Databricks' serverless compute is, and with what that refuses refused: the whole path
# of batch, what it cuts, and what is folded twice, late, or after upkeep or a rebuild.
CONNECT_TESTS := $(addprefix tests/test_,batch.py fold.py privacy.py) \
    -k "test_batch or is_dropped or believes or made_again_meanwhile or upkeep or silence or far_away or new_events"
test-connect: dev ## run the tests of batch, and those of folds that merge, on Spark Connect
	@SPARK_REMOTE='local[2]' $(BIN)/python -m pytest $(CONNECT_TESTS)

test-oldest: $(lastword $(OLDER:%=test-spark-%))

# A seed names the cases: `make soak SEED=n` runs the same again.
soak: dev ## property tests with many more cases, then a month of a small site, hours; SEED=n, TIMES=n cases, DAYS=n
	@seed=$${SEED:-$$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}; echo "make soak SEED=$$seed"; \
	PARSELY_SPARK_SOAK=$${TIMES:-3} $(BIN)/pytest --hypothesis-seed=$$seed \
	    tests/test_promises.py tests/test_fold.py tests/test_measures.py \
	&& $(BIN)/python tests/month.py --seed $$seed --days $${DAYS:-30} || { echo "make soak SEED=$$seed"; exit 1; }

# `make bench ARGUMENTS='--groups growth'` runs a part; `ARGUMENTS=--list` says which there are.
bench: dev .venv-bench/.packages ## measure speed and memory beside DuckDB and others, about an hour; ARGUMENTS=--list
	@$(BIN)/python -m benchmarks $(ARGUMENTS)

check: dev ## format, lint, types, import rules, module lengths, generated docs: all that needs no Spark
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/check_lengths.py
	$(BIN)/python tools/docs.py --check

format: dev ## rewrite the code as `make check` wants it
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

docs: dev ## write the generated pages of docs/ again, and a site of all pages into build/site
	$(BIN)/python tools/docs.py
	@$(BIN)/sphinx-build -q -W --keep-going -c docs . build/site && echo "build/site/index.html"

wheel: dev ## build dist/parsely_spark-X-py3-none-any.whl, for pip and Databricks
	@rm -rf dist
	$(BIN)/python -m build --wheel --no-isolation --outdir dist

dist: wheel ## the wheel, and dist/parsely_spark-X.zip with its dependencies for `spark-submit --py-files`
	@$(BIN)/python tools/pyfiles.py

# uv writes the lock, from an environment of its own: nothing else here needs it.
COMPILE := build/lock/bin/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-emit-index-url \
    --custom-compile-command "make lock" pyproject.toml
lock: prerequisites ## resolve every lock again; a pin stays unless pyproject.toml or the versions move it
	@rm -rf build/lock && "$$($(CHECK))" -m venv build/lock
	@build/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(COMPILE) --extra local --extra dev --output-file requirements.lock
	@for spark in $(OLDER); do \
	    awk -F , -v "minor=$$spark" 'index($$1, minor ".") == 1 { print "pyspark==" $$1 "\ndelta-spark==" $$2 }' $(VERSIONS) \
	    | $(COMPILE) - --extra kinesis --extra matrix --output-file requirements-spark-$$spark.lock || exit 1; \
	done
	$(COMPILE) --extra bench --output-file requirements-bench.lock
	@$(MAKE) --no-print-directory .venv/.packages $(OLDER:%=.venv-%/.packages)
	@for spark in .venv $(OLDER:%=.venv-%); do $$spark/bin/python tools/jars.py --lock || exit 1; done

clean: ## remove .venv and all that was built
	rm -rf .venv .venv-* build dist .demo spark-warehouse metastore_db derby.log
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
