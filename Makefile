# The commands of this project; `make help` lists them.
#
# Everything happens in a virtual environment of its own, $(VENV). Sources that changed
# are rebuilt. WSFAST_PURE=1 does without a C compiler. With CI=true or
# WSFAST_REQUIRE_ALL=1 a missing tool is a failure instead of a test left out.

VENV ?= .venv
BASE_PYTHON ?= python3
JOBS ?= 2
PYTHON = $(VENV)/bin/python
C_SOURCES = $(wildcard csrc/*.[ch] csrc/*/*.[ch] tests/c/*.[ch] tests/fuzz/*.[ch] \
	bench/*/*.[ch])
BENCH_PACE = --seconds 0.3 --warmup 0.15 --retries 1
SMOKE_CASES = echo64,fragments-1k,deflate-1k,tls64,broadcast,room200,storm,memory-tls,client256
SMOKE_SERVERS = floor,wsfast,wsfast-callback,floor-broadcast,wsfast-broadcast,room-floor,socketio-wsfast
SMOKE_CLIENTS = client-floor,client-wsfast,client-wsfast-callback

.PHONY: help run test test-c test-py asan asan-core asan-build coverage fuzz fuzz-asan leaks \
	leaks-dbg build lint types format soak docs docs-links bench bench-full bench-docs \
	bench-smoke guard guard-baseline wheel wheels-proof clean
.NOTPARALLEL: # one pip at a time; compiling is parallel inside setup.py
.DEFAULT_GOAL := build

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

run: build ## serve the demo on 127.0.0.1
	$(PYTHON) -m wsfast.demo

test: test-c test-py ## every test; what is missing is left out by name

test-c: build $(VENV)/.have-test
	@$(MAKE) -s -j$(JOBS) -C tests/c all-kinds
	@$(MAKE) -s -j$(JOBS) -C tests/fuzz replay

# The manual's reference is read from modules that want Python 3.11.
test-py: build $(VENV)/.have-test $(VENV)/.have-targets test-c
	@if $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
		$(MAKE) docs; fi
	$(PYTHON) -m pytest -n $(JOBS) --dist worksteal

# UBSan too. What starts compilers and type checkers is left out, and hypothesis looks at
# no clock: all of it takes ten times as long. -O0 compiles in a third of the time.
ASAN = build/asan
ASAN_KINDS = -fsanitize=address,undefined -fno-sanitize-recover=undefined
ASAN_O = -O1
ASAN_FLAGS = $(ASAN_KINDS) -fno-omit-frame-pointer $(ASAN_O) -g1
ASAN_TESTS = $(addprefix tests/,engine protocol asyncio sync hub sockjs engineio \
	socketio eventsource asgi attach faults isolated fuzz)

# Of what is compiled, where memory is handled: the engine, the reactor with TLS, the
# socket for threads, compression, what the fuzzers keep.
ASAN_CORE = $(addprefix tests/,engine protocol/test_deflate.py protocol/test_heads.py \
	$(addprefix asyncio/test_,$(addsuffix .py,cancel_steps direct inflating ledger \
	overflow racing receiving sending tls)) sync/test_racing.py sync/test_receiving.py \
	fuzz)
ASAN_ONLY = not python and not transport and not uvloop and not test_cost \
	and not test_choice and not test_no_match

under_asan = cd $(ASAN) && LD_PRELOAD="$$(gcc -print-file-name=libasan.so) \
	$$(gcc -print-file-name=libubsan.so)" PYTHONPATH=. PYTHONMALLOC=malloc \
	ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 \
	UBSAN_OPTIONS=print_stacktrace=1 $(abspath $(PYTHON)) -m pytest -q \
	--timeout 600 --hypothesis-profile ci -m "not slow and not needs" \
	--ignore tests/engine/test_stubs.py

asan: asan-build ## the compiled modules of the last commit under ASan and UBSan
	$(under_asan) $(ASAN_TESTS)

asan-core: asan-build ## the part of it that reads and writes memory, in some minutes
	$(under_asan) $(ASAN_CORE) -k "$(ASAN_ONLY)"

# The C that Cython has made already is taken along.
asan-build: build $(VENV)/.have-test
	rm -rf $(ASAN) && mkdir -p $(ASAN) && git archive HEAD | tar x -C $(ASAN)
	find wsfast -name '*.c' -not -path '*/static/*' -exec cp --parents -t $(ASAN) {} +
	cd $(ASAN) && CFLAGS="$(ASAN_FLAGS)" LDFLAGS="$(ASAN_KINDS)" \
		$(abspath $(PYTHON)) setup.py -q build_clib build_ext --inplace --parallel $(JOBS)

coverage: build $(VENV)/.have-test $(VENV)/.have-targets ## PARTS="core protocol": which branches do tests take?
	$(PYTHON) -m tests.coverage --jobs $(JOBS) $(PARTS)

fuzz: build $(VENV)/.have-test ## MINUTES=n for each target; see tests/fuzz
	$(MAKE) -C tests/fuzz fuzz MINUTES=$(or $(MINUTES),1)
	$(PYTHON) -m tests.fuzz --minutes $(or $(MINUTES),1)

# atheris has the runtimes of libFuzzer and ASan in one, for clang's instrumentation.
FUZZ_ASAN = build/fuzz-asan
fuzz-asan: build $(VENV)/.have-fuzz ## MINUTES=n each: atheris, the extension under ASan
	CC=clang LDSHARED="clang -shared" $(MAKE) -s asan-build ASAN=$(FUZZ_ASAN) \
		ASAN_KINDS=-fsanitize=address,fuzzer-no-link
	cd $(FUZZ_ASAN) && runtimes=$$($(abspath $(PYTHON)) -c \
		'import atheris; print(atheris.path() + "/asan_with_fuzzer.so")') && \
		LD_PRELOAD=$$runtimes ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0 PYTHONPATH=. \
		$(abspath $(PYTHON)) -m tests.fuzz --atheris --minutes $(or $(MINUTES),1) $(TARGETS)

soak: build $(VENV)/.have-bench ## MINUTES=n of mixed traffic: is anything lost or kept?
	$(PYTHON) -m tests.soak --minutes $(or $(MINUTES),60) --output artifacts/soak; \
		status=$$?; $(PYTHON) -m tests.soak.plot artifacts/soak/soak.json \
		artifacts/soak/soak.svg; exit $$status

leaks: build ## does anything keep references? Wants a debug interpreter
	@$(PYTHON) -m tests.needs python3-dbg -- $(MAKE) -s leaks-dbg

# Its extension modules lie beside the others: their names tell them apart. What it
# imports is compiled for it too, or references given and taken would not be counted.
leaks-dbg: $(VENV)-dbg/.have
	CFLAGS=-O1 $(VENV)-dbg/bin/python setup.py -q build_clib build_ext --inplace \
		--parallel $(JOBS)
	$(VENV)-dbg/bin/python -m tests.leaks

$(VENV)-dbg/.have: pyproject.toml
	python3-dbg -m venv $(VENV)-dbg
	$(VENV)-dbg/bin/python -m pip install -q 'setuptools>=77' 'cython>=3.1' wheel h11
	$(VENV)-dbg/bin/python -m pip install -q --no-binary multidict,httptools \
		multidict httptools
	@touch $@

build: $(VENV)/.have-build ## the C core and the extension modules, in place
	$(PYTHON) setup.py -q build_clib build_ext --inplace --parallel $(JOBS)

lint: $(VENV)/.have-lint ## ruff, clang-format, the workflows' schema
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/clang-format --dry-run --Werror $(C_SOURCES)
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.github-workflows \
		.github/workflows/*.yml

types: build $(VENV)/.have-lint ## mypy --strict, and the stub against the engines
	$(VENV)/bin/mypy

format: $(VENV)/.have-lint ## lay the sources out as `make lint` wants them
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .
	$(VENV)/bin/clang-format -i $(C_SOURCES)

docs: $(VENV)/.have-docs ## the manual as a site, build/docs/index.html
	$(PYTHON) -m sphinx -b html -W --keep-going -q docs build/docs

docs-links: $(VENV)/.have-docs ## do the manual's links to other sites lead somewhere?
	$(PYTHON) -m sphinx -b linkcheck -q docs build/docs-links

bench: build $(VENV)/.have-bench ## measure what matters, in five minutes
	$(PYTHON) -m bench.load --set main --minutes 5 $(BENCH_PACE) --output artifacts/bench

bench-full: build $(VENV)/.have-bench ## measure everything; SHORT=1: see that it runs
	$(PYTHON) -m bench $(if $(SHORT),--short)

bench-docs: build $(VENV)/.have-bench ## write docs/benchmark.md anew, on a quiet machine
	$(PYTHON) -m bench.load --set main --minutes 5 $(BENCH_PACE) --output artifacts/bench \
		--docs docs/benchmark.md

bench-smoke: build $(VENV)/.have-bench ## does all of it run? Measures nothing
	$(PYTHON) -m pytest -q bench/micro --benchmark-disable
	$(PYTHON) -m bench.load --cases $(SMOKE_CASES) \
		--servers $(SMOKE_SERVERS),$(SMOKE_CLIENTS) --rounds 1 --seconds 0.3 \
		--warmup 0.1 --retries 0 --strict --output artifacts/bench-smoke

guard: build ## count instructions of the hot paths: none may grow by 5 %
	$(PYTHON) -m bench.guard

guard-baseline: build ## write down what they take now, for `make guard`
	$(PYTHON) -m bench.guard --update

wheel: $(VENV)/.have-dev ## a source distribution and a wheel, in dist/
	$(PYTHON) -m build

# WHEELS=--help tells what it can leave out.
wheels-proof: $(VENV)/.have-wheels ## cross-build wheels, audit and test them; takes an hour
	$(PYTHON) -u -m tests.wheels $(WHEELS)

clean: ## remove what was built, but not $(VENV)
	rm -rf build dist artifacts *.egg-info
	find wsfast -name '*.so' -delete
	find wsfast \( -name '*.c' -o -name '*.html' \) -not -path '*/static/*' -delete

# Stamps say what the virtual environment holds. The project itself is installed as
# editable and pure, which compiles nothing; `build` then puts the extensions beside
# the sources.

$(PYTHON):
	$(BASE_PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "no virtual environment; on Debian: apt-get install python3-venv" >&2; \
		exit 1; }

$(VENV)/.have-build: pyproject.toml | $(PYTHON)
	$(PYTHON) -m pip install -q 'setuptools>=77' 'cython>=3.1' wheel
	WSFAST_PURE=1 $(PYTHON) -m pip install -qq --no-build-isolation -e .
	@touch $@

$(VENV)/.have-%: pyproject.toml | $(VENV)/.have-build
	WSFAST_PURE=1 $(PYTHON) -m pip install -qq --no-build-isolation -e '.[$*]'
	@touch $@
