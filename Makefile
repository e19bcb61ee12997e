# SPDX-License-Identifier: Apache-2.0
# Thin: what the words mean is in CMakePresets.json and tools/. Each word works as the first one on a bare Debian 12.
#   make [build]   make demo   make test [T=regex]   make bench [ROW=name]   make benches   make lint   make format   make asan   make tsan
#   make install [PREFIX=/usr/local] [DESTDIR=]   make deps   make docs   make picture   make fresh   make fuzz [SECONDS=300]   make stress [SECONDS=1200]   make schedules [N=400000]   make mutants   make clean
.DEFAULT_GOAL := build
.PHONY: build demo test bench benches lint format asan tsan install deps docs picture fresh fuzz stress schedules mutants clean
JOBS   ?= $(shell nproc)
T      ?= .
PREFIX ?= /usr/local
SECONDS ?= 300
N      ?= 400000
LINT_SECONDS ?= 1500

build_needs := g++ cmake ninja-build ccache pkg-config libcurl4-openssl-dev libcereal-dev libcli11-dev libfmt-dev \
               libspdlog-dev nlohmann-json3-dev liburing-dev libmimalloc-dev
test_needs  := $(build_needs) libgtest-dev libgmock-dev nginx-light openssl elfutils python3-minimal python3-requests \
               python3-aiohttp
san_needs   := $(test_needs) clang-19 libclang-rt-19-dev llvm-19
lint_needs  := $(test_needs) git clang-19 clang-format-19 clang-tidy-19 codespell shellcheck
peer_needs  := $(build_needs) libbenchmark-dev libtbb-dev libboost-dev libuv1-dev libconcurrentqueue-dev
bench_needs := $(peer_needs) python3-minimal python3-aiohttp python3-requests nginx-light valgrind wrk aria2 wget2 curl
docs_needs  := mkdocs mkdocs-material
picture_needs := $(build_needs) python3-pyte
fresh_needs := debootstrap git

# NAME, tests ON or OFF, target: configure unless that is done, then build
preset = @{ grep -sqE '^PLAIT_TESTS:BOOL=(ON|$(2))' build/$(1)/CMakeCache.txt || \
            cmake --preset $(1) -DPLAIT_TESTS=$(2) -DPLAIT_EXAMPLES=$(2); } && \
         cmake --build build/$(1) -j $(JOBS) $(if $(3),-t $(3))
# One more than there are processors: many tests wait for a server, a time limit or a dead process.
ctest  = cd build/$(1) && ctest --output-on-failure --no-tests=error -j $$(($(JOBS) + 1)) -R '$(strip $(T))' $(2)

build:
	@tools/need $(build_needs)
	$(call preset,release,OFF,plait)

demo: build
	@tools/demo build/release/plait

test:
	@tools/need $(test_needs)
	$(call preset,release,ON)
	@$(call ctest,release,-LE stress)

asan tsan:
	@tools/need $(san_needs)
	$(call preset,$@,ON)
	@$(call ctest,$@,-LE 'house|compile$(if $(filter asan,$@),|stress)')

stress: SECONDS = 1200
stress:
	@tools/need $(san_needs)
	$(call preset,release,ON)
	$(call preset,tsan,ON)
	@$(call ctest,release,-L stress)
	@tools/stress build/tsan $(SECONDS)

# N: for each model, so many schedules at most
schedules:
	@tools/need $(test_needs)
	$(call preset,release,ON)
	@tools/schedules build/release/tests $(N)

mutants:
	@tools/need $(test_needs)
	$(call preset,release,ON)
	@$(call ctest,release,-L mutants -V)

lint:
	@tools/need $(lint_needs)
	@LINT_SECONDS=$(LINT_SECONDS) tools/lint

format:
	@tools/need git clang-format-19
	@git ls-files -co --exclude-standard -- '*.cpp' '*.hpp' | xargs -r clang-format-19 -i

# built, but not run: what CI can say of them
benches:
	@tools/need $(peer_needs)
	@cmake --preset bench >/dev/null && cmake --build build/bench -j $(JOBS)

bench: benches
	@tools/need $(bench_needs)
	@python3 bench/report.py build/bench $(ROW)

fuzz:
	@tools/need $(san_needs)
	$(call preset,asan,ON)
	@tools/fuzz $(SECONDS)

install: build
	cmake --install build/release --prefix $(PREFIX)

deps:
	@tools/need $(sort $(build_needs) $(test_needs) $(san_needs) $(lint_needs) $(bench_needs))

docs:
	@tools/need $(docs_needs)
	@mkdocs build --strict --quiet

# docs/demo.svg in the README: the screen after a real `make demo`
picture: build
	@tools/need $(picture_needs)
	@tools/picture --show 'make demo' docs/demo.svg tools/demo build/release/plait

fresh:
	@tools/need $(fresh_needs)
	@tools/fresh

clean:
	rm -rf build
