# Each target makes the virtual environment that it needs; nothing but Python 3.11+ with its venv module is required.
PYTHON ?= python3
VENV ?= .venv
CORES ?= 2
BIN = $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --prefer-binary -c constraints.txt

.PHONY: run test test-long test-faults test-cluster lint format docs bench clean
.DELETE_ON_ERROR:

$(VENV)/run.stamp: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -e '.[fast,pythia,cluster]'
	touch $@

$(VENV)/test.stamp: $(VENV)/run.stamp
	$(INSTALL) -e '.[fast,pythia,cluster,test]'
	touch $@

$(VENV)/dev.stamp: $(VENV)/test.stamp
	$(INSTALL) -e '.[fast,pythia,cluster,test,dev]'
	touch $@

# The default campaign; its page is results/laptop/report/index.html
run: $(VENV)/run.stamp
	$(BIN)/snakemake --cores $(CORES) --scheduler greedy --quiet rules --rerun-incomplete

test: $(VENV)/test.stamp
	$(BIN)/python -m pytest -q -n $(CORES) --dist loadfile

# Long validation: full cross-section tables, coverage, closure
test-long: $(VENV)/test.stamp
	$(BIN)/python -m pytest -q -n $(CORES) -m long

# Everything that can break, broken: kills in every stage, full disks, damaged files, hung tasks
test-faults: $(VENV)/test.stamp
	$(BIN)/python -m pytest -q -m "long or not long" tests/faults

# A Slurm of one node on loopback, set up by a script of the project; needs root and Debian's packages
test-cluster: $(VENV)/test.stamp
	$(INSTALL) -e '.[fast,pythia,cluster,slurm,test]'
	command -v slurmctld > /dev/null || tests/cluster/mini-slurm.sh install
	$(BIN)/python -m pytest -q -m cluster tests/cluster

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check src tests workflow
	$(BIN)/ruff format --check src tests workflow
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile rules

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix src tests workflow
	$(BIN)/ruff format src tests workflow
	$(BIN)/snakefmt Snakefile rules

# The documentation as a site that needs no network: site/index.html
docs: $(VENV)/run.stamp
	$(INSTALL) -e '.[docs]'
	$(BIN)/mkdocs build --strict --quiet --site-dir site

bench: $(VENV)/test.stamp
	for script in tests/benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

clean:
	rm -rf .snakemake results logs .darkfactory
