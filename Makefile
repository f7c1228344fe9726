# Entry points. On Debian and Ubuntu they install what they need; elsewhere they say what that is.

ifeq ($(shell command -v cargo 2> /dev/null),)
$(error cargo is not in PATH: install Rust from https://rustup.rs and open a new shell)
endif

HOST := $(shell rustc -vV | sed -n 's/^host: //p')

# A static binary starts sooner and runs on a host with any libc. The tests run what ships, so their
# builds are static too. With --target the flag stays away from build scripts and macros.
# Once: to cargo, the same flag twice is another build of everything.
ifeq ($(findstring +crt-static,$(RUSTFLAGS)),)
export RUSTFLAGS := $(strip $(RUSTFLAGS) -C target-feature=+crt-static)
endif
CARGO_FLAGS := --locked --target $(HOST)

CARGO_TARGET_DIR ?= target
HOSTCTL := $(CARGO_TARGET_DIR)/$(HOST)/release/hostctl
BUILT   := $(CARGO_TARGET_DIR)/$(HOST)/debug
VM_KERNEL ?= 6.1

BUILD_NEEDS := gcc libc6-dev
RUN_NEEDS   := $(BUILD_NEEDS) python3
TEST_NEEDS  := $(RUN_NEEDS) busybox-static iproute2 jq nftables nginx nodejs openssl postgresql \
               python3-venv redis-server rsyslog ruby tzdata util-linux
BENCH_NEEDS := $(BUILD_NEEDS) bubblewrap conmon crun iproute2 nginx podman python3 rsyslog s6 supervisor util-linux wrk
VM_NEEDS    := $(BUILD_NEEDS) debian-archive-keyring e2fsprogs mmdebstrap qemu-system-x86 util-linux

.PHONY: build run test vm-test bench lint clean

build:
	@.ci/packages $(BUILD_NEEDS)
	@echo "make: building hostctl and hostd (release, static)"
	@cargo build $(CARGO_FLAGS) --release --package agent --bins

run:
	@.ci/packages $(RUN_NEEDS)
	@$(MAKE) --no-print-directory build
	@echo "make: $(HOSTCTL) run examples/hello/app.toml --port-offset 3"
	@echo "make: the page will be at http://127.0.0.1:8083/ ; Ctrl-C ends it"
	@$(HOSTCTL) run examples/hello/app.toml --port-offset 3

# The end-to-end tests start the binaries, which "cargo test" alone does not build, and read the
# manifests of all dependencies, those of other platforms too, which a build does not fetch. Where
# QEMU is installed they go on in a guest, with all scenarios of "make vm-test" or those named in
# SCENARIOS.
test:
	@.ci/packages $(TEST_NEEDS)
	@.ci/python
	@cargo fetch --quiet --locked
	@echo "make: building the binaries and the tests"
	@cargo build $(CARGO_FLAGS) --workspace --bins
	@cargo test $(CARGO_FLAGS) --workspace
	@if command -v qemu-system-x86_64 > /dev/null; then \
		$(MAKE) --no-print-directory vm-test; \
	else \
		echo "make: no scenarios in a guest: that needs the package qemu-system-x86"; \
	fi

# What needs a host that systemd runs: scenarios in a Debian guest under QEMU, as root. SCENARIOS
# names those to run; VM_KERNEL is the beginning of the version of a kernel that the guest has.
vm-test: export HOSTCTL_BIN = $(BUILT)/hostctl
vm-test: export HOSTD_BIN = $(BUILT)/hostd
vm-test:
	@.ci/packages $(VM_NEEDS)
	@echo "make: building the binaries and the tests"
	@cargo build $(CARGO_FLAGS) --workspace --bins
	@built=$$(cargo test $(CARGO_FLAGS) --workspace --no-run --message-format json \
		--test e2e --test enforcement --test private 2> /dev/null) && \
		binary() { echo "$$built" | sed -n "s/.*\"name\":\"$$1\".*\"executable\":\"\([^\"]*\)\".*/\1/p"; } && \
		E2E_BIN=$$(binary e2e) ENFORCEMENT_BIN=$$(binary enforcement) \
		PRIVATE_BIN=$$(binary private) \
		$(BUILT)/vm-tests --kernel $(VM_KERNEL) $(SCENARIOS)

bench:
	@.ci/packages $(BENCH_NEEDS)
	@$(MAKE) --no-print-directory build
	@echo "make: timing starts, a minute or two; BENCH_ROUNDS sets how many"
	@cargo bench $(CARGO_FLAGS) --package e2e --bench start
	@echo "make: requests a second, a minute or two; BENCH_SECONDS sets for how long each time"
	@cargo bench $(CARGO_FLAGS) --package e2e --bench network
	@cargo build $(CARGO_FLAGS) --release --package agent --bin hostd
	@echo "make: the daemon, a few minutes; BENCH_IDLE_SECONDS sets how long it is left alone"
	@cargo bench $(CARGO_FLAGS) --package e2e --bench hostd
	@echo "make: the log pipeline, a few minutes; BENCH_LOG_LINES sets how many lines"
	@cargo bench $(CARGO_FLAGS) --package e2e --bench logs

lint:
	@.ci/packages $(BUILD_NEEDS)
	@echo "make: formatting"
	@cargo fmt --all --check
	@echo "make: clippy"
	@cargo clippy $(CARGO_FLAGS) --workspace --all-targets -- -D warnings
	@.ci/dependencies

clean:
	@cargo clean
