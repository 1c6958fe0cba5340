# Builds and tests Tailgate.  `make help` lists the targets.
#
# VARIANT  release (g++ -O2) | asan (g++, AddressSanitizer and UBSan) | clang (clang++, for its warnings)
#          | fuzz (clang++ for libFuzzer, with the same sanitizers)
#          | coverage (g++ with gcov)
#          asan and clang compile without optimisation: with sanitizers, -O2 would triple the time to compile.
# Each variant lives in build/<variant>/.  Warnings are errors; WERROR= turns that off.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VARIANT ?= release
JOBS ?= $(shell nproc)
WERROR ?= 1
PYTHON := /usr/bin/python3
OUT := build/$(VARIANT)

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# ---- the compiler ---------------------------------------------------------------------------------

ifeq ($(filter $(VARIANT),release asan clang fuzz coverage),)
$(error VARIANT is release, asan, clang, fuzz or coverage, not "$(VARIANT)")
endif

ifneq ($(filter $(VARIANT),clang fuzz),)
COMPILER := clang++
else
COMPILER := g++
endif
# Use ccache if it is installed, unless the caller sets CXX.
ifeq ($(origin CXX),default)
CXX := $(if $(shell command -v ccache),ccache )$(COMPILER)
endif

OPTIMIZE_release := -O2 -g1 -D_FORTIFY_SOURCE=2 -fstack-protector-strong
OPTIMIZE_asan := -O0 -g1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
OPTIMIZE_clang := -O0 -g1
OPTIMIZE_coverage := -O0 -g1 --coverage
OPTIMIZE_fuzz := -O1 -g1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all

CXXFLAGS += -std=c++20 -fPIE -pthread -Wall -Wextra -Wpedantic -Wshadow -Wconversion $(OPTIMIZE_$(VARIANT))
CXXFLAGS += $(if $(WERROR),-Werror)
CPPFLAGS += -I. $(EXTRA_CPPFLAGS)
LDFLAGS += -pie -pthread -Wl,-z,relro,-z,now $(filter -fsanitize=%,$(OPTIMIZE_$(VARIANT)))
LDLIBS := -levent_core -levent_extra -lhiredis -lcrypto

# ---- sources and programs -------------------------------------------------------------------------

HEADERS := $(sort $(shell find gateway tests -name '*.h'))
SOURCES := $(sort $(shell find gateway -name '*.cc'))
MAIN := gateway/main.cc
LIBRARY := $(filter-out $(MAIN),$(SOURCES))
FUZZ_MAIN := tests/fuzz/libfuzzer.cpp
FUZZ := $(filter-out $(FUZZ_MAIN),$(sort $(wildcard tests/fuzz/*.cpp)))
UNIT := $(sort $(shell find tests/unit -name '*_test.cpp')) $(FUZZ)
SUPPORT := $(sort $(wildcard tests/support/*.cpp))

LIBRARY_OBJECTS := $(LIBRARY:%.cc=$(OUT)/%.o)
MAIN_OBJECT := $(MAIN:%.cc=$(OUT)/%.o)
UNIT_OBJECTS := $(UNIT:%.cpp=$(OUT)/%.o) $(SUPPORT:%.cpp=$(OUT)/%.o)
FUZZ_OBJECTS := $(patsubst %.cpp,$(OUT)/%.o,$(filter-out %_test.cpp,$(FUZZ)) $(FUZZ_MAIN) \
    tests/support/event_parser.cpp tests/support/signing_key.cpp)

# Only main.cc gets the version, so that a new commit recompiles one file.
$(MAIN_OBJECT): CPPFLAGS += -DTAILGATE_VERSION='"$(VERSION)"'

$(OUT)/%.o: %.cc
	@mkdir -p $(@D)
	@echo "  $(VARIANT)  $<"
	@$(CXX) $(CPPFLAGS) $(CXXFLAGS) -MMD -MP -c -o $@ $<

$(OUT)/%.o: %.cpp
	@mkdir -p $(@D)
	@echo "  $(VARIANT)  $<"
	@$(CXX) $(CPPFLAGS) $(CXXFLAGS) -MMD -MP -c -o $@ $<

# A precompiled header of GoogleTest, which saves a quarter of the unit tests' compilation.  Only for g++, which finds
# the .gch file beside the header by itself.
ifeq ($(COMPILER),g++)
GTEST := $(OUT)/tests/unit/gtest.h
TESTS := $(filter $(OUT)/tests/unit/%,$(UNIT_OBJECTS))
$(GTEST).gch: Makefile
	@mkdir -p $(@D)
	@echo "  $(VARIANT)  $@"
	@echo '#include <gtest/gtest.h>' > $(GTEST)
	@$(CXX) $(CPPFLAGS) $(CXXFLAGS) -x c++-header -o $@ $(GTEST)
$(TESTS): $(GTEST).gch
$(TESTS): CPPFLAGS += -include $(GTEST)
export CCACHE_SLOPPINESS := pch_defines,time_macros
endif

$(OUT)/tailgate: $(LIBRARY_OBJECTS) $(MAIN_OBJECT)
	@echo "  $(VARIANT)  -> $@"
	@$(CXX) $(CXXFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(OUT)/unit_tests: $(LIBRARY_OBJECTS) $(UNIT_OBJECTS)
	@echo "  $(VARIANT)  -> $@"
	@$(CXX) $(CXXFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lgtest -lgtest_main

# Prints the gateway's verdicts on tokens, for tests/conformance/oracle.
$(OUT)/judge_tokens: $(LIBRARY_OBJECTS) $(OUT)/tests/conformance/judge_tokens.o
	@echo "  $(VARIANT)  -> $@"
	@$(CXX) $(CXXFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# All fuzz targets in one program; VARIANT=fuzz only.
$(OUT)/fuzz: $(LIBRARY_OBJECTS) $(FUZZ_OBJECTS)
	@echo "  $(VARIANT)  -> $@"
	@$(CXX) $(CXXFLAGS) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)

-include $(wildcard $(patsubst %.o,%.d,$(LIBRARY_OBJECTS) $(MAIN_OBJECT) $(UNIT_OBJECTS) $(FUZZ_OBJECTS) \
    $(OUT)/tests/conformance/judge_tokens.o))

# ---- targets --------------------------------------------------------------------------------------

.PHONY: help
help: ## print this list
	@grep -hE '^[a-z0-9._-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-22s %s\n", $$1, $$2}'

.PHONY: run
run: ## install packages, build, and run a demo until Ctrl-C
	@scripts/bootstrap run
	@$(MAKE) build VARIANT=release
	@exec scripts/demo $(ARGS)

.PHONY: test
test: ## install packages, build, and run the tests (9 minutes on two cores)
	@scripts/bootstrap test
	@$(MAKE) everything
	@scripts/run-tests --unit build/asan/unit_tests --binary build/asan/tailgate -- $(ARGS)

.PHONY: test-all
test-all: ## run all tests, slow ones included, on several builds; compile with hiredis 1.0
	@scripts/bootstrap more
	@$(MAKE) everything
	@$(MAKE) released
	@$(MAKE) check-hiredis
	@$(MAKE) -j$(JOBS) VARIANT=clang build/clang/unit_tests
	@scripts/run-tests --all --unit build/asan/unit_tests --unit build/clang/unit_tests --binary build/asan/tailgate -- $(ARGS)
	@scripts/run-tests --all --binary build/release/tailgate -- $(ARGS)

.PHONY: short-forms
short-forms: ## run short forms of chaos, soak, consumers and bench, and the tests of the release build
	@scripts/bootstrap test
	@$(MAKE) everything
	@$(MAKE) released
	@scripts/run-tests --short-forms --binary build/asan/tailgate -- $(ARGS)

.PHONY: bootstrap
bootstrap: ## install missing packages with apt (scripts/bootstrap build|run|test|lint installs fewer)
	@scripts/bootstrap

.PHONY: build
build: ## install packages and build the gateway: build/<VARIANT>/tailgate (VARIANT=release|asan|clang)
	@scripts/bootstrap build
	@$(MAKE) -j$(JOBS) $(OUT)/tailgate

.PHONY: unit
unit: ## build and run the unit tests (VARIANT=..., ARGS=--gtest_filter=...)
	@$(MAKE) -j$(JOBS) $(OUT)/unit_tests
	@$(OUT)/unit_tests --gtest_brief=1 $(ARGS)

.PHONY: e2e
e2e: clients ## build, and run all end-to-end tests against VARIANT, slow ones included (ARGS="-k name")
	@$(MAKE) -j$(JOBS) $(OUT)/tailgate $(OUT)/judge_tokens
	@$(MAKE) released
	@scripts/run-tests --all --binary $(OUT)/tailgate -- $(ARGS)

.PHONY: fuzz
fuzz: ## run each fuzz target for S seconds (S=60, TARGETS="json token"; KEEP=1 adds new inputs to the corpus)
	@scripts/bootstrap more
	@$(MAKE) -j$(JOBS) VARIANT=fuzz build/fuzz/fuzz
	@tests/fuzz/run --seconds $(or $(S),60) $(if $(KEEP),--keep) $(TARGETS)

.PHONY: coverage
coverage: ## print the line coverage of gateway/ by the unit tests (E2E=1: and by the end-to-end tests)
	@scripts/bootstrap more
	@$(MAKE) -j$(JOBS) VARIANT=coverage build/coverage/tailgate build/coverage/unit_tests
	@find build/coverage -name '*.gcda' -delete
	@build/coverage/unit_tests --gtest_brief=1 > build/coverage/unit_tests.log 2>&1 || { tail -n 40 build/coverage/unit_tests.log; exit 1; }
	$(if $(E2E),@scripts/run-tests --binary build/coverage/tailgate)
	@scripts/coverage build/coverage

.PHONY: mutate
mutate: ## change one line of auth/ and feeds/ at a time; a unit test must fail (an hour; FILES="gateway/auth/jwt.cc")
	@scripts/bootstrap more
	@scripts/mutate $(FILES)

.PHONY: oracle
oracle: ## compare the verdicts of the gateway and of PyJWT on N random tokens (N=10000, SEED=1)
	@scripts/bootstrap test
	@$(MAKE) -j$(JOBS) VARIANT=asan build/asan/judge_tokens
	@tests/conformance/oracle --tokens $(or $(N),10000) --seed $(or $(SEED),1) --program build/asan/judge_tokens

.PHONY: lint
lint: ## check: clang's warnings, formatting, clang-tidy, shellcheck, black, flake8, nginx -t, ranks, documented keys
	@scripts/bootstrap lint
	@$(MAKE) build VARIANT=release
	@$(MAKE) check-clang
	@$(MAKE) -k -j$(JOBS) VARIANT=release tidy
	@scripts/lint

.PHONY: format
format: ## rewrite the C++ sources with clang-format and the Python sources with black
	@scripts/bootstrap lint
	clang-format -i $(HEADERS) $(SOURCES) $(UNIT) $(SUPPORT) $(FUZZ_MAIN) tests/conformance/judge_tokens.cpp
	@scripts/lint --format-python

.PHONY: compile_commands.json
compile_commands.json: ## write the compile command of each C++ file, for clangd and editors
	@separator='['; for file in $(SOURCES) $(UNIT) $(SUPPORT); do \
	    printf '%s\n{"directory":"%s","file":"%s","command":"%s"}' "$$separator" '$(CURDIR)' "$$file" \
	        "clang++ -x c++ $(CPPFLAGS) $(CXXFLAGS) -DTAILGATE_VERSION=__FILE__ -c $$file"; \
	    separator=,; \
	done > $@
	@echo ']' >> $@

.PHONY: check-clang
check-clang: ## compile everything with clang++, for its warnings
	@scripts/bootstrap lint
	@$(MAKE) -j$(JOBS) VARIANT=clang build/clang/tailgate

.PHONY: check-hiredis
check-hiredis: ## compile against hiredis 1.0 (fetches Debian's redis source package)
	@scripts/check-hiredis

# ---- the benchmark --------------------------------------------------------------------------------

BENCH_PROGRAMS := build/release/bench/load build/release/bench/bare_loop
-include $(wildcard build/release/tests/bench/*.d)

.PHONY: bench
bench: ## run the benchmark and print a table (QUICK=1: two minutes; ROUNDS=5, ONLY="logs pages")
	@scripts/bootstrap bench
	@$(MAKE) -j$(JOBS) VARIANT=release build/release/tailgate $(BENCH_PROGRAMS) build/bench/node_modules/.installed
	@tests/bench/run --size $(if $(QUICK),quick,full) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ONLY),--only $(ONLY)) $(ARGS)

.SECONDARY: $(BENCH_PROGRAMS:build/release/bench/%=build/release/tests/bench/%.o)
build/release/bench/%: build/release/tests/bench/%.o
	@mkdir -p $(@D)
	@echo "  release  -> $@"
	@$(CXX) $(CXXFLAGS) $(LDFLAGS) -o $@ $< -lssl -lcrypto

build/bench/node_modules/.installed: tests/bench/peers/package.json tests/bench/peers/package-lock.json
	@mkdir -p build/bench
	@cp $^ build/bench/
	@npm ci --prefix build/bench --no-audit --no-fund --silent
	@touch $@

# ---- targets that other targets call --------------------------------------------------------------

# Runs clang-tidy on each source whose object is newer than the last run.
.PHONY: tidy
tidy: $(SOURCES:%.cc=build/tidy/%.ok)
build/tidy/%.ok: %.cc build/release/%.o .clang-tidy
	@mkdir -p $(@D)
	@echo "  tidy  $<"
	@clang-tidy --quiet $< -- -x c++ -std=c++20 -I. -DTAILGATE_VERSION='""' 2>$@.log || { cat $@.log; exit 1; }
	@touch $@

# The programs that the tests need.
.PHONY: everything
everything: clients
	@$(MAKE) -j$(JOBS) VARIANT=asan build/asan/tailgate build/asan/unit_tests build/asan/judge_tokens

# The npm packages of tests/e2e/clients.  npm keeps them in its own cache (~/.npm) too.
.PHONY: clients
clients: ## install the npm packages of tests/e2e/clients (make test does it too)
clients: build/clients/node_modules/.installed
build/clients/node_modules/.installed: tests/e2e/clients/package.json tests/e2e/clients/package-lock.json
	@mkdir -p build/clients
	@cp $^ build/clients/
	@npm ci --prefix build/clients --ignore-scripts --prefer-offline --no-audit --no-fund --silent
	@touch $@

# The further programs that the short forms and the slow tests need.
.PHONY: released
released:
	@$(MAKE) -j$(JOBS) VARIANT=release build/release/tailgate build/release/judge_tokens $(BENCH_PROGRAMS)

# ---- long tests -----------------------------------------------------------------------------------

.PHONY: chaos
chaos: ## inject random faults under load and audit what clients received (T=300, SEED=7, VARIANT=asan, INSTANCES=2)
	@scripts/bootstrap test
	@$(MAKE) -j$(JOBS) $(OUT)/tailgate
	@tests/chaos/run --seconds $(or $(T),300) $(if $(SEED),--seed $(SEED)) $(if $(INSTANCES),--instances $(INSTANCES)) \
	    --binary $(OUT)/tailgate $(ARGS)

.PHONY: soak
soak: ## open and close many streams for T seconds, then check for leaks (T=600; release build)
	@scripts/bootstrap test
	@$(MAKE) -j$(JOBS) VARIANT=release build/release/tailgate
	@tests/soak/run --seconds $(or $(T),600) --binary build/release/tailgate $(ARGS)

.PHONY: consumers
consumers: ## run the frontends of the example systems through deploys, Redis losses, ECS and expiring tokens (ARGS=deploy)
	@scripts/bootstrap test
	@$(MAKE) -j$(JOBS) $(OUT)/tailgate
	@tests/consumers/run --binary $(OUT)/tailgate $(ARGS)

.PHONY: valgrind
valgrind: ## run the unit tests of the release build under valgrind (ARGS=--gtest_filter=...)
	@scripts/bootstrap more
	@$(MAKE) -j$(JOBS) VARIANT=release build/release/unit_tests
	valgrind --quiet --leak-check=full --show-leak-kinds=definite,possible --errors-for-leak-kinds=definite,possible \
	    --error-exitcode=1 build/release/unit_tests --gtest_brief=1 $(ARGS)

.PHONY: clean
clean: ## remove build/
	rm -rf build
