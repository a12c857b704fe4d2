# SPDX-License-Identifier: MIT OR Apache-2.0
#
# A thin front over Meson and the scripts in tools/. 'make help' lists the targets.

PYTHON ?= /usr/bin/python3
PREFIX ?= /usr/local
PORT   ?= 4443
# Options of 'meson setup' for a tree that does not exist yet, such as -Db_lto=true.
MESON_FLAGS ?=
FUZZ_SECONDS ?= 60
SOAK_SECONDS ?= 600
UDP_SEEDS ?= 3000
FUZZ_TARGETS ?=

programs := moq-relay moq moq-token
venv     := build/tools/venv
npm      := build/tools/npm
# The Node of the venv comes first, and no other is ever used.
in_venv  := PATH="$(CURDIR)/$(venv)/bin:$$PATH"
page_src := $(shell find web -type f -not -path '*/node_modules/*' 2>/dev/null)

.PHONY: all
all: build/build.ninja ## build build/moq-relay and build/moq
	@ninja -C build
	@for p in $(programs); do if [ -x build/src/bin/$$p ]; then ln -sf src/bin/$$p build/$$p; fi; done

.PHONY: asan
asan: build-asan/build.ninja ## build everything with ASan and UBSan in build-asan
	@ninja -C build-asan

.PHONY: web
web: build/web/index.html ## bundle the demo page into build/web

.PHONY: deps
deps: ## install what is needed from Debian (the only target that changes the system)
	@tools/deps.sh build demo test

.PHONY: demo
demo: ## relay, live test pattern and page on localhost:PORT (4443) until Ctrl-C
	@tools/deps.sh --check build demo || tools/deps.sh build demo
	@$(MAKE) --no-print-directory all web
	@$(PYTHON) tools/demo.py --port $(PORT) $(DEMO_FLAGS)

.PHONY: test test-unit test-e2e
test: ## build and run all tests
test-unit: suites := layers unit ## only the tests of the modules
test-e2e: suites := e2e e2e-release attacks-release browser demo ## only those that run the programs
test test-unit test-e2e:
	@tools/deps.sh --check build demo test || tools/deps.sh build demo test
	@$(MAKE) --no-print-directory all asan web sim
	@$(if $(suites),,if command -v clang >/dev/null; then tools/fuzz.sh build; fi)
	@$(PYTHON) tools/run-tests.py $(suites)

long_suites := sim-long udp-sim sim-oom corpus-oom mutations fuzz-long soak
.PHONY: test-long
test-long: all asan sim ## what takes hours: simulations, faults put in on purpose, failing allocations, fuzzing, churn
	@tools/deps.sh --check build demo test
	@tools/fuzz.sh build
	@ninja -C build tests/bench/fanout
	@FUZZ_SECONDS=$(FUZZ_SECONDS) SOAK_SECONDS=$(SOAK_SECONDS) UDP_SEEDS=$(UDP_SEEDS) \
	  $(PYTHON) tools/run-tests.py $(long_suites)

.PHONY: sim
sim: build/build.ninja ## build the simulation, build/sim (see tests/sim/README.md)
	@ninja -C build tests/sim/sim
	@ln -sf tests/sim/sim build/sim

.PHONY: udp-sim
udp-sim: asan ## simulate UDP_SEEDS (3000) worlds of relays on lossy UDP
	@build-asan/tests/udp-sim --seed 1000 --count $(UDP_SEEDS)

.PHONY: soak
soak: all ## churn for SOAK_SECONDS (600): fails when the relay's memory grows
	@ninja -C build tests/bench/fanout
	@$(PYTHON) tests/soak/soak.py --seconds $(SOAK_SECONDS)

.PHONY: fuzz
fuzz: ## fuzz each target for FUZZ_SECONDS (60); FUZZ_TARGETS names some of them
	@tools/deps.sh --check build test
	@tools/fuzz.sh each $(FUZZ_SECONDS) $(FUZZ_TARGETS)

.PHONY: bench
bench: all ## measure the relay, and MOQ_OTHER_RELAY beside it (BENCH_FLAGS; see tests/bench/run.py)
	@ninja -C build tests/bench/fanout
	@$(PYTHON) tests/bench/run.py $(BENCH_FLAGS)

.PHONY: install
install: all ## install the programs (PREFIX, DESTDIR)
	@meson configure build -Dprefix=$(PREFIX)
	@ninja -C build
	@meson install -C build --no-rebuild

.PHONY: doc
doc: all ## print doc/config.md, dev/full.toml and the manual pages from the tables of options
	@ninja -C build src/bin/config-doc src/bin/man-doc
	@build/src/bin/config-doc >doc/config.md
	@build/src/bin/config-doc --toml >dev/full.toml
	@for p in $(programs); do build/src/bin/man-doc $$p >doc/$$p.1; done

.PHONY: clean
clean: ## remove everything that was built, the tools of the tests included
	rm -rf build build-asan build-fuzz

.PHONY: help
help:
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## /\1#/p' Makefile | \
	  awk -F'#' '{ printf "make %-14s %s\n", $$1, $$2 }'

build/build.ninja: | check-deps
	meson setup build -Dtests=false $(MESON_FLAGS)

build-asan/build.ninja: | check-deps
	meson setup build-asan -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1 \
	  $(MESON_FLAGS)

.PHONY: check-deps
check-deps:
	@tools/deps.sh --check build

$(venv)/stamp: tests/requirements.txt
	$(PYTHON) -m venv --clear $(venv)
	$(venv)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

$(npm)/stamp: web/package.json web/package-lock.json $(venv)/stamp
	mkdir -p $(npm)
	cp web/package.json web/package-lock.json $(npm)
	cd $(npm) && $(in_venv) npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

build/web/index.html: $(page_src) $(npm)/stamp
	$(in_venv) node web/build.mjs --outdir=build/web --modules=$(npm)/node_modules
	@touch $@
