# The only entry: `make` lists the targets. Each of them works as the very first command on a fresh machine.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
.PHONY: help setup build firmware firmware-boards demo demo-host test check unit host aarch64 conformance cri docker faults kills abandoned fuzz fuzz-long \
    kernel image qemu qemu-small test-qemu-small test-qemu power-loss pool-cycles test-driver matrix other-containerds yocto yocto-static yocto-source lint docs \
    fmt bench bench-qemu waterfall \
    dist install uninstall deb test-install test-packages clean

export PATH := $(CURDIR)/.cache/tools/bin:$(PATH)
# CI builds what Cargo.lock says; a developer's change of Cargo.toml may update it.
CARGO_FLAGS := $(if $(CI),--locked)
# The product, what tests it with containerd or QEMU, and the fuzz targets.
WORKSPACES := Cargo.toml tests/Cargo.toml fuzz/Cargo.toml
DIST_PACKAGES := containerd-shim-mica-v2 micad micrun-image-builder
DIST_BINARIES := containerd-shim-mica-v2 micad mica micrun-image-builder
# The end-to-end tests that are no matter of containerd's version; the matrix has the others.
ONCE := (binary_id(/^micrun-host-tests::(faults|isolation|strangers)$$/) | test(once_they_are_rewritten))
# What `make dist` and `make install` build with: dist is the size profile of what ships, dev is fast to build.
PROFILE ?= dist
BUILT := target/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
DESTDIR ?=
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
# DRY_RUN=1: `make install` and `make uninstall` say what they would do, and do nothing.
INSTALL := DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' SYSCONFDIR='$(SYSCONFDIR)' tools/install $(if $(DRY_RUN),--dry-run)

help: ## list the targets
	@bold= off=; [[ ! -t 1 ]] || { bold=$$'\e[1m' off=$$'\e[0m'; }; \
	sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | \
	    while IFS=$$'\t' read -r name text; do printf '%s%-16s%s%s\n' "$$bold" "$$name" "$$off" "$$text"; done

setup: ## install all that any target needs and this machine lacks (Debian packages, Rust tools)
	@tools/setup

# What a group of targets needs; tools/setup lists the groups.
tools-%:
	@tools/setup $*

build: ## build the programs (debug profile); needs Rust and a C linker
	@cargo build $(CARGO_FLAGS)

firmware: tools-firmware ## build the demo firmware into build/firmware
	@$(MAKE) --no-print-directory -C tests/firmware aarch64

firmware-boards: tools-boards ## the same for a Cortex-M and for RISC-V
	@$(MAKE) --no-print-directory -C tests/firmware boards

demo: image ## boot the aarch64 system: an RTOS on its own core, one in an emulator, a Linux container, one containerd
	@tests/qemu/demo

demo-host: tools-host build firmware ## the short one, on this machine: pack a firmware, run it as a container, talk to it
	@tools/demo

check: ## formatting, lints and unit tests; needs Rust and a C linker, neither root nor other packages
	@tools/lint
	@$(MAKE) --no-print-directory unit

unit: ## the unit tests
	@cargo test $(CARGO_FLAGS) --quiet

test: ## every test, in stages: check, firmware, host beside aarch64, yocto-static
	@tools/setup firmware boards aarch64 host lint
	@.ci/stages check firmware host+aarch64 yocto-static

host: tools-host tools-firmware build firmware firmware-boards ## the programs end to end: every containerd of Debian's suites, pods, fuzz targets
	@tests/host/collector
	@tests/host/criu
	@tests/host/prometheus
	@tests/host/strangers
	@tests/host/tutorial
	@tests/packages/install
	@$(MAKE) --no-print-directory -C tests/firmware check-boards
	@cargo nextest run $(CARGO_FLAGS) --manifest-path tests/Cargo.toml \
	    -E 'not package(micrun-host-tests) - package(micrun-cri-tests) - package(micrun-docker-tests) + $(ONCE)'
	@tests/host/containerds
	@$(MAKE) --no-print-directory cri docker fuzz

aarch64: image ## the programs for aarch64, on an emulated machine: firmware, the driver, the smoke suite
	@$(MAKE) --no-print-directory -C tests/firmware check
	@$(MAKE) --no-print-directory test-driver test-qemu

test-install: build ## make install and make uninstall: what they lay, keep and remove
	@tests/packages/install

test-packages: tools-packages deb firmware ## the Debian packages on fresh Debian 12 and 13 with systemd: README's steps, restarts, upgrade, purge; needs root
	@BUILT=$(BUILT) tests/packages/check
	@BUILT=$(BUILT) tests/packages/run bookworm trixie clone

matrix: tools-host build firmware firmware-boards ## the end-to-end tests against every containerd that Debian's suites have
	@tests/host/collector
	@tests/host/containerds

other-containerds: tools-host build firmware firmware-boards ## matrix and cri on the containerds in the folders of MICRUN_CONTAINERD_BIN (`:` between them); skipped without it
	@if [[ -z $${MICRUN_CONTAINERD_BIN:-} ]]; then echo 'other-containerds: skipped, MICRUN_CONTAINERD_BIN names no folder'; \
	else tests/host/containerds && tests/cri/matrix; fi

cri: tools-host build firmware ## pods through the CRI plugin of every containerd that Debian's suites have; the Kubernetes files
	@tests/host/collector
	@tests/kubernetes/validate
	@tests/cri/matrix

waterfall: tools-host build firmware ## draw docs/tracing.svg anew: a real trace of a pod, from its client to micad
	@tests/cri/waterfall

docker: tools-host build firmware ## firmware and Linux containers by every Docker that Debian's suites have
	@tests/docker/matrix

pool-cycles: tools-host build ## 2000 starts and stops with waiting machines and random kills; MICRUN_CYCLES, MICRUN_SEED
	@MICRUN_CYCLES=$${MICRUN_CYCLES:-2000} MICRUN_SEED=$${MICRUN_SEED:-$$RANDOM} cargo nextest run $(CARGO_FLAGS) \
	    --manifest-path tests/Cargo.toml -p micad-tests --test daemon --no-capture cycles_with_kills

conformance: tools-host build firmware ## every rule of the shim contract on containerd's own shim and on ours, as a table
	@tests/host/criu
	@cargo build $(CARGO_FLAGS) --quiet --manifest-path tests/Cargo.toml --package shim-conformance
	@target/debug/shim-conformance

faults: tools-host build firmware ## everything that may die, each killed many times under running containers, as a table
	@tests/host/faults

kills: tools-host build firmware ## one process of a pod killed at a random moment, 200 rounds in all (MICRUN_KILL_SEED repeats a run)
	@MICRUN_KILL_ROUNDS=$${MICRUN_KILL_ROUNDS:-50} tests/cri/matrix whatever_is_killed

abandoned: tools-host build firmware ## a Create that is given up at each of its moments, 50 times in each way (MICRUN_ABANDONED_ROUNDS)
	@MICRUN_ABANDONED_ROUNDS=$${MICRUN_ABANDONED_ROUNDS:-50} tests/host/faults during_create

fuzz: tools-host ## what reads input from outside, against thousands of inputs each; a table of what they covered
	@fuzz/run

fuzz-long: export MICRUN_FUZZ_SECONDS := $(or $(MICRUN_FUZZ_SECONDS),3600)
fuzz-long: tools-host ## the same for an hour each, or MICRUN_FUZZ_SECONDS; of all targets, or MICRUN_FUZZ_TARGET
	@fuzz/run $(MICRUN_FUZZ_TARGET)

kernel: tools-aarch64 ## fetch the aarch64 kernel, build the rpmsg modules and mica_rproc for it
	@tests/qemu/kernel/build

image: tools-aarch64 firmware kernel ## assemble the aarch64 system: containerd, shim, micad, kernel, packed firmware
	@tests/qemu/cross
	@tests/qemu/assemble

qemu: image ## boot the aarch64 system with a shell on this terminal
	@tests/qemu/run

qemu-small: tools-host ## build the small QEMU of the qemu pedestal into .cache/qemu-small/usr/bin (half an hour)
	@tools/qemu-small

test-qemu-small: export MICRUN_QEMU_PATH := $(CURDIR)/.cache/qemu-small/usr/bin
test-qemu-small: export PATH := $(CURDIR)/.cache/qemu-small/usr/bin:$(PATH)
test-qemu-small: qemu-small firmware firmware-boards ## build it, and run the tests of micad with it
	@cargo build $(CARGO_FLAGS) --quiet --package micad
	@cargo nextest run $(CARGO_FLAGS) --manifest-path tests/Cargo.toml --package micad-tests \
	    -E 'not test(the_root_has_what_qemu_opens)' # it also starts machines that only a distribution's QEMU has

test-qemu: image ## boot the aarch64 system once and run the smoke suite in it
	@tests/qemu/test
	@tests/qemu/test --el1 'core_*' 'mica_*'
	@tests/qemu/test --systemd 'systemd_*'
	@tests/qemu/shutdown
	@tests/qemu/power-loss 3

power-loss: image ## cut the power of the aarch64 system 50 times at random moments (half an hour)
	@tests/qemu/power-loss

test-driver: tools-host kernel ## test mica_rproc: its binding, and its cases in two emulated machines, at EL1 and with the EL2 monitor
	@drivers/mica_rproc/test/binding
	@drivers/mica_rproc/test/circles
	@drivers/mica_rproc/test/run

yocto: ## build the Yocto image with Debian's binaries, boot it, run the smoke suite in it
	@tests/yocto/prebuilt

yocto-static: ## check the Yocto layers without oe-core: parse, pins, kas files, lint
	@tests/yocto/static

yocto-source: ## build the Yocto image from source and test it in QEMU (hours, 50 GB, not as root)
	@tests/yocto/from-source

lint: tools-lint ## formatting, clippy, licences, unused dependencies, spelling, scripts
	@tools/lint --all

docs: tools-docs ## make a site of the documents in build/docs, and check its links
	@tools/docs

fmt: ## format the Rust sources
	@for manifest in $(WORKSPACES); do cargo fmt --all --manifest-path $$manifest; done

bench: tools-host dist firmware ## latency, memory, idle costs and throughput beside other shims; writes docs/BENCHMARKS.md
	@tools/bench

bench-qemu: export MICRUN_ARM64_PROFILE := dist
bench-qemu: image ## the same on the aarch64 system: an RTOS on its own core beside crun; jitter
	@tests/qemu/run --timeout 1800 --exec /usr/lib/micrun/measure

dist: ## build the shipped binaries (size profile) and print their sizes
	@cargo build $(CARGO_FLAGS) --profile $(PROFILE) $(addprefix --package ,$(DIST_PACKAGES))
	@cd $(BUILT) && stat --printf '%s bytes\t%n\n' $(DIST_BINARIES)

install: $(if $(DRY_RUN),,dist) ## install programs, units, man pages, completions, alert rules below DESTDIR and PREFIX; DRY_RUN=1 only says so
	@$(INSTALL) $(BUILT)

uninstall: ## remove exactly what install laid; configuration that you changed stays
	@$(INSTALL) --remove

deb: tools-deb dist ## build the Debian packages of the programs into build/deb
	@BUILT=$(BUILT) tools/deb

clean: ## remove what was built; what was downloaded stays in .cache
	@cargo clean --quiet
	@rm -rf build
