# `make help` lists the targets.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
SECONDS ?= 60
.DEFAULT_GOAL := help

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/runtime: requirements/runtime.txt pyproject.toml
	@$(PYTHON) -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Kho needs Python 3.11 or newer with venv (Debian: apt-get install python3-venv)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes -r requirements/runtime.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.venv/development: .venv/runtime requirements/development.txt
	$(BIN)/pip install --quiet --require-hashes -r requirements/development.txt
	@touch $@

.PHONY: serve
serve: .venv/runtime ## start khod on 127.0.0.1:5000 with SQLite and files under ./data
	@exec $(BIN)/khod serve $(ARGS)

.PHONY: test
test: .venv/development ## the default tests: no root, loopback only
	@PATH="$(PATH):/usr/lib/postgresql/15/bin" $(BIN)/pytest --numprocesses=2 $(ARGS)

.PHONY: interop
interop: .venv/development ## real clients and the conformance suites (root; Debian packages and Go)
	.ci/install interop
	KHO_INTEROP_REQUIRE=all $(BIN)/pytest tests/interop --timeout=900 --numprocesses=2 --dist=loadfile $(ARGS)

.PHONY: faults
faults: .venv/development ## the fault tests for as long as they take: kills, cuts, full disks (root; hours)
	@PATH="$(PATH):/usr/lib/postgresql/15/bin" KHO_FAULTS=long \
		$(BIN)/pytest tests/faults tests/model tests/attacks/test_slow_clients.py \
		tests/attacks/test_unpack_breakouts.py tests/attacks/test_unpack_kills.py \
		--timeout=0 --capture=no $(ARGS)

.venv/fuzz: .venv/development requirements/fuzz.txt
	$(BIN)/pip install --quiet --require-hashes -r requirements/fuzz.txt
	@touch $@

.PHONY: fuzz
fuzz: .venv/fuzz ## look for inputs that break the parsers, SECONDS=60 for each (Linux on x86-64)
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(ARGS)

.PHONY: bench
bench: .venv/development ## khod beside other registries, in one run
	.ci/install bench
	$(BIN)/python -m bench $(ARGS)
	$(BIN)/python -m bench.clients $(ARGS)

.PHONY: lint
lint: .venv/development ## ruff, mypy, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict kho tests bench
	$(BIN)/lint-imports

.PHONY: format
format: .venv/development ## let ruff format and fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

TEXTS := kho/server/web/ui/locale
# Errors whose texts pages show: kho/server/web/ui/wording.py
WORDED := BlobUnknown BlobUploadInvalid BlobUploadUnknown Conflict Denied DigestInvalid Disallowed \
	FetchFailed InsufficientStorage Invalid InvalidRequest ManifestInvalid ManifestTooLarge \
	ManifestUnknown NameInvalid NameUnknown NotFound PageNumberInvalid PlatformInvalid \
	PreconditionFailed RangeInvalid RequestTimeout RouteUnknown SizeInvalid TagInvalid \
	TooManyRequests Unauthorized Unavailable UnknownError Unsupported UnsupportedEncoding \
	Untrusted UriTooLong Worded Words _unfit

.PHONY: texts
texts: .venv/development ## gather what pages say into the catalogues of the other languages
	@mkdir -p .cache
	$(BIN)/pybabel --quiet extract --mapping-file pyproject.toml --keywords "told:1,2 $(WORDED)" --no-location \
		--sort-output --omit-header --output-file .cache/kho.pot kho/oci kho/server
	$(BIN)/pybabel --quiet update --no-fuzzy-matching --ignore-obsolete --omit-header --no-wrap \
		--domain kho --input-file .cache/kho.pot --output-dir $(TEXTS) --locale vi

.PHONY: lock
lock: ## lock the dependencies again, with hashes (needs uv)
	cd requirements && for list in runtime development fuzz; do \
		uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
			--output-file $$list.txt $$list.in; done
