# Everything a newcomer needs: `make demo` and `make test`. Only Python >= 3.11 is presumed.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo demo-cluster test lint format bench soak drawings screenshots package audit clean

demo: .venv/installed
	$(BIN)/python -m chatbot_erp.sandbox.demo

demo-cluster: .venv/installed
	$(BIN)/python -m chatbot_erp.sandbox.demo_cluster

# Journeys mostly wait, so two cores take three workers; a file's tests share what they set up, and stay together.
test: .venv/installed
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/installed
	$(BIN)/python tests/bench/bench_program.py --out build/bench
	$(BIN)/python tests/bench/bench_store.py

# Twenty minutes of 50 messages a second over 200 numbers: does anything grow, is anything lost? The latter fails it.
soak: .venv/installed
	$(BIN)/python tests/bench/bench_program.py --soak 20 --out build/soak

# What the handbook draws from the code, and its pictures (look at them): commit what has changed.
drawings: .venv/installed
	PYTHONPATH=tests/support $(BIN)/python tests/support/drawings.py

screenshots: .venv/installed
	PYTHONPATH=tests/support $(BIN)/python tests/support/screenshots.py

# The source archive, the wheel made of it, and the wheel tried in an environment that has nothing else.
package: .venv/installed
	rm -rf build/dist build/bare
	$(BIN)/python -m build --outdir build/dist . >build.log 2>&1 || { cat build.log; exit 1; }
	rm build.log
	$(PYTHON) -m venv build/bare
	build/bare/bin/python -m pip install --quiet --disable-pip-version-check "$$(ls build/dist/*.whl)[sandbox]"
	cd build && bare/bin/chatbot-erp --version && bare/bin/python -m chatbot_erp.sandbox.demo --once

# Known vulnerabilities of what is installed, as far as the public advisories can be asked.
audit: .venv/installed
	$(PYTHON) -m venv build/audit
	build/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(BIN)/python tests/support/audit.py build/audit/bin/pip-audit "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

.venv/installed: setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "chatbot-erp needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
