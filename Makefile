# SPDX-License-Identifier: Apache-2.0
#
# A thin wrapper: each target is one script or one CMake command. `make help` lists them.
.POSIX:
.PHONY: help setup demo build test test-long bench bench-peers fuzz coverage docs format \
	lint install clean

PREFIX = /usr/local
FUZZ_SECONDS = 60
PEERS =

help:
	@printf '%s\n' \
	  'make demo        classify images with a trained model; run a ResNet-50' \
	  'make test        build, then run every test, again under sanitizers' \
	  'make test-long   also ThreadSanitizer, clang builds and the slow tests' \
	  'make bench       benchmarks' \
	  'make bench-peers other runtimes from PyPI on the same models; PEERS="--quick --models yolo"' \
	  'make fuzz        libFuzzer, FUZZ_SECONDS=60 for each target' \
	  'make coverage    line coverage of the unit and integration tests' \
	  'make docs        API reference from the public headers' \
	  'make format      clang-format the sources' \
	  'make lint        clang-tidy over the sources' \
	  'make install     release build, installed under PREFIX=/usr/local' \
	  'make clean       remove build/'

setup:
	@scripts/setup.sh

demo:
	@scripts/setup.sh
	@scripts/demo.sh

build:
	@scripts/setup.sh --no-venv
	@scripts/build.sh dev

test:
	@scripts/setup.sh
	@scripts/test.sh

test-long:
	@scripts/setup.sh
	@scripts/test.sh --long

bench:
	@scripts/setup.sh
	@scripts/bench.sh

bench-peers:
	@scripts/setup.sh
	@bench/peers/run.sh $(PEERS)
	@bench/peers/run.sh overhead
	@bench/peers/run.sh bound

fuzz:
	@scripts/setup.sh --no-venv
	@scripts/fuzz.sh $(FUZZ_SECONDS)

coverage:
	@scripts/setup.sh
	@scripts/coverage.sh

docs:
	@scripts/setup.sh --no-venv
	@scripts/docs.sh

format:
	@git ls-files '*.c' '*.h' | xargs -r clang-format -i

lint: build
	@scripts/lint.sh

install:
	@scripts/setup.sh --no-venv
	@cmake --preset release -DCMAKE_INSTALL_PREFIX='$(PREFIX)' >/dev/null
	@scripts/build.sh release
	@cmake --install build/release --prefix '$(PREFIX)'

clean:
	rm -rf build
