# LoRABank. `make quickstart` and `make test` are all a newcomer needs; both install what is missing first.

SHELL := /bin/bash
PACKAGES := libopenblas-dev libopenblas0-pthread liblapacke-dev libsqlite3-dev libarchive-dev libpng-dev libturbojpeg0-dev pkg-config
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
RELEASE := .build/release/lorabank
INTEROP := .build/interop
BENCH := .build/bench-torch
PEERS := .build/peers
BENCH_PYTHON = $(firstword $(wildcard $(BENCH)/bin/python $(INTEROP)/bin/python) python3)

PREFIX ?= /usr/local

.PHONY: help install setup build quickstart test test-release crash bench bench-torch bench-peers study interop docs format lint clean study-cil

help:
	@echo "setup       install the system packages (Debian, Ubuntu)"
	@echo "build       build .build/release/lorabank"
	@echo "install     build, and install the program, its manual page and completions below PREFIX"
	@echo "quickstart  setup, build, and the main job on real digits; writes quickstart/report.html"
	@echo "test        the whole test suite"
	@echo "test-release  the numeric suites on optimised code, as it ships"
	@echo "crash       kill imports and merges 100 times and check the bank each time"
	@echo "bench       benchmarks as JSON;  bench-torch: install PyTorch for the comparison of networks"
	@echo "bench-peers merges beside peft and mergekit, in environments of their own from PyPI"
	@echo "study       merges and evaluations on reference data; writes docs/results.md"
	@echo "study-cil   class-incremental studies on real data, resumable; writes docs/results/cil.md"
	@echo "interop     load merged exports with the peft library and compare the updates"
	@echo "docs        write docs/commands.md and docs/errors.md from the program"
	@echo "format      rewrite the sources in the house style;  lint: check it"
	@echo "clean       remove everything that was built"

# Installs only what is missing, so that a second run takes no time and needs no network.
setup:
	@missing=""; for package in $(PACKAGES); do \
		dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q "ok installed" || missing="$$missing $$package"; \
	done; \
	if [ -n "$$missing" ]; then \
		echo "installing:$$missing"; \
		$(SUDO) apt-get update -qq && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends $$missing; \
	fi
	@command -v swift >/dev/null || { echo "Swift 6.3 or newer is needed: https://www.swift.org/install/linux" >&2; exit 1; }

build: setup
	swift build -c release --product lorabank

install: build
	install -D -m 755 $(RELEASE) $(DESTDIR)$(PREFIX)/bin/lorabank
	$(RELEASE) help --man | install -D -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/share/man/man1/lorabank.1
	$(RELEASE) completion bash | install -D -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/share/bash-completion/completions/lorabank
	$(RELEASE) completion zsh | install -D -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_lorabank
	$(RELEASE) completion fish | install -D -m 644 /dev/stdin $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/lorabank.fish

quickstart: build
	scripts/quickstart.sh $(RELEASE)

test: setup
	swift test

test-release: setup
	swift test -c release --scratch-path .build/release-tests -Xswiftc -enable-testing --filter "TensorsTests|LinearAlgebraTests|MergingTests"

crash: setup
	swift build --product lorabank
	scripts/crash.sh .build/debug/lorabank 100

# An environment may pin OpenBLAS to slow kernels: figures are taken without the pins.
bench: setup
	swift build -c release --product lorabank-bench
	@for run in "tsv_m" "cat" "svd" "task_arithmetic" "ties --layers 1"; do \
		env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE .build/release/lorabank-bench $$run || exit 1; \
	done
	@.build/release/lorabank-bench networks
	@$(BENCH_PYTHON) scripts/bench_networks.py .build/release/lorabank-bench

# PyTorch beside the networks: `make bench-torch` makes an environment of its own; without it that part is left out.
bench-torch:
	python3 -m venv $(BENCH)
	$(BENCH)/bin/pip install --quiet --disable-pip-version-check torch

$(PEERS)/peft/bin/python:
	python3 -m venv $(PEERS)/peft
	$(PEERS)/peft/bin/pip install --quiet --disable-pip-version-check "peft==0.21.2" torch safetensors numpy

$(PEERS)/mergekit/bin/python:
	python3 -m venv $(PEERS)/mergekit
	$(PEERS)/mergekit/bin/pip install --quiet --disable-pip-version-check "mergekit==0.1.5" torch

# An environment that cannot be made is left out with a note.
bench-peers: build
	-$(MAKE) $(PEERS)/peft/bin/python
	-$(MAKE) $(PEERS)/mergekit/bin/python
	scripts/bench_merge.py $(RELEASE) --peft $(PEERS)/peft/bin/python --mergekit $(PEERS)/mergekit/bin/python \
		--json $(PEERS)/merge.json --markdown $(PEERS)/merge.md
	@cat $(PEERS)/merge.md

$(INTEROP)/bin/python:
	python3 -m venv $(INTEROP)
	$(INTEROP)/bin/pip install --quiet --disable-pip-version-check "torch==2.13.0+cpu" || \
		$(INTEROP)/bin/pip install --quiet --disable-pip-version-check torch
	$(INTEROP)/bin/pip install --quiet --disable-pip-version-check "peft==0.21.2" safetensors numpy

interop: build $(INTEROP)/bin/python
	$(INTEROP)/bin/python scripts/interop.py $(RELEASE)

docs: setup
	swift build --product lorabank
	.build/debug/lorabank help --markdown > docs/commands.md
	.build/debug/lorabank errors --markdown > docs/errors.md

# The shared folder with adapters, data and reference numbers stands beside the repository; MiniLM is fetched into .build.
SHARED ?= ../shared
MINILM ?= .build/minilm
study: build
	@[ -d $(SHARED)/adapters ] || { echo "$(SHARED) holds no adapters with reference numbers: set SHARED" >&2; exit 1; }
	@[ -f $(MINILM)/model.safetensors ] || python3 $(SHARED)/tools/get_minilm.py $(MINILM) || \
		echo "MiniLM is missing: the text study is left out" >&2
	python3 scripts/study.py $(RELEASE) $(SHARED) docs/results.md $$([ -f $(MINILM)/model.safetensors ] && echo $(MINILM))

SEEDS ?= 5
JOBS ?= 2
study-cil: build
	scripts/study_cil.sh $(RELEASE) $(SHARED) $(MINILM) $(SEEDS) $(JOBS)

format:
	swift format -i -r Sources Tests Package.swift

lint:
	swift format lint --strict -r Sources Tests Package.swift

clean:
	rm -rf .build quickstart
