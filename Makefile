# `make help` is the manual.  Every target does its own set-up.

PYTHON ?= python3
VENV ?= .venv
JOBS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$((n < 4 ? n : 4)))
PYTEST_ARGS ?= -n $(JOBS)
# --again: what fails beside other tests is run once more, alone
AGAIN ?=

VENV_PATH = PATH="$(CURDIR)/$(VENV)/bin:$$PATH"
IN_VENV = $(VENV_PATH) $(VENV)/bin/
C_FILES = $(shell find src tests -name '*.[ch]')
env = @tools/env.sh "$(PYTHON)" "$(VENV)" $(1)

.DEFAULT_GOAL := help
.PHONY: help demo test build lint format typecheck readme package bench fresh matrix sanitize fuzz regrtest projects clean

help:  ## this text
	@awk 'BEGIN { FS = ":.*## "; print "usage: make TARGET [PYTHON=/path/to/python]\n" } \
		/^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Start here

demo:  ## a real Flask application that leaks, under load; memscope names the line and the holder
	$(call env,demo)
	@$(IN_VENV)python examples/leaky_flask/demo.py

test:  ## build, then run the tests (PYTEST_ARGS="-k name" runs some)
	$(call env,test)
	$(IN_VENV)python tests/ext/build.py
	@$(VENV_PATH) tools/tests.sh $(AGAIN) $(VENV)/bin/python $(PYTEST_ARGS)

build:  ## compile the C core in place (MEMSCOPE_DEBUG=1 with asserts)
	$(call env,build)

##@ Before a commit

lint:  ## ruff and clang-format, checking only
	$(call env,lint)
	$(IN_VENV)ruff check .
	$(IN_VENV)ruff format --check .
	$(IN_VENV)clang-format --dry-run --Werror $(C_FILES)

format:  ## let ruff and clang-format rewrite the files
	$(call env,lint)
	$(IN_VENV)ruff check --fix .
	$(IN_VENV)ruff format .
	$(IN_VENV)clang-format -i $(C_FILES)

typecheck:  ## mypy --strict, and the stub of the C core against the core
	$(call env,lint)
	$(call env,demo)
	$(call env,test)
	$(IN_VENV)mypy
	$(IN_VENV)stubtest --allowlist tools/stubtest.txt memscope._memscope

readme:  ## run what README.md tells people to run
	$(call env,test)
	$(IN_VENV)python tools/check_readme.py

package:  ## build the sdist and a wheel, check and install them
	$(call env,package)
	tools/package.sh "$(VENV)"

##@ The long ones

fresh:  ## make demo and make test on a new Debian 12 with git, make and python3
	tools/fresh.sh

matrix:  ## the tests on every CPython 3.11-3.15 that can be had
	tools/matrix.sh

sanitize:  ## the tests under AddressSanitizer and UndefinedBehaviorSanitizer
	tools/sanitize.sh "$(PYTHON)"

fuzz:  ## the plain C parts under libFuzzer (FUZZ_SECONDS=60)
	tools/fuzz.sh

regrtest:  ## the interpreter's own tests, tracing off and on: same results
	$(call env,test)
	$(IN_VENV)python tools/regrtest.py

projects:  ## tests of real projects, plain and with pytest --memscope: same results, no false alarm
	tools/projects.sh "$(PYTHON)"

bench:  ## the tables of benchmarks/README.md
	$(call env,bench)
	$(IN_VENV)python -m benchmarks

clean:  ## remove everything that was built here
	rm -rf build dist *.egg-info $(VENV) memscope/_memscope.*.so
	find . -name __pycache__ -prune -exec rm -rf {} +
