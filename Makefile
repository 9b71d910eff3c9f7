# chevet: every job that a newcomer, a maintainer or a build machine has. `make` alone lists them.

CARGO ?= cargo
# How long each fuzz target runs.
SECONDS_EACH ?= 20
# How long everything goes wrong in the soak.
SOAK_SECONDS ?= 3600
CARGO_FUZZ_VERSION = 0.13.2
CARGO_DEB_VERSION = 3.8.0
CONTAINER ?= podman

WEB = src/web
# The OpenID provider of the tests.
TEST_PROVIDER = tests/oidc/provider
# The collector of traces of the tests.
TEST_COLLECTOR = tests/end_to_end/collector
# Folders too: a file that has gone is a change of its folder.
WEB_SOURCES = $(shell find $(WEB) -mindepth 1 \( -name node_modules -o -name dist -o -name .test \) -prune \
	-o -print 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help demo test soak bench bench-peers fuzz lint web build deb container clean packages packages-demo packages-bench packages-test \
	packages-peers

help: ## list these jobs
	@echo "make JOB, where JOB is one of"
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1\t\2/p' Makefile | expand -t 14

demo: packages-demo build ## show a real desktop in your browser, with everything installed and built that it needs
	target/release/chevet demo

test: packages-test web $(TEST_PROVIDER)/node_modules/.installed $(TEST_COLLECTOR)/.installed ## run every test: the page's checks and tests, then cargo's
	cd $(WEB) && npm run check
	cd $(WEB) && npm run test
	$(CARGO) test --features pcsc --no-fail-fast

soak: packages-test web ## have gateways, edges and hosts suffer all faults for SOAK_SECONDS (default 3600), as root; CHEVET_SEED repeats one
	SOAK_SECONDS=$(SOAK_SECONDS) $(CARGO) test --features pcsc --test faults -- --ignored --nocapture

bench: packages-bench packages-peers web ## run all benchmarks
	$(CARGO) bench

bench-peers: packages-peers web ## show the same programs through chevet, TigerVNC and noVNC, and print the ratios; PEERS_QUICK=1 for a short run
	$(CARGO) bench --bench peers

fuzz: packages ## run each fuzz target for SECONDS_EACH seconds (default 20)
	@test "$$($(CARGO) fuzz --version 2>/dev/null)" = "cargo-fuzz $(CARGO_FUZZ_VERSION)" \
		|| $(CARGO) install cargo-fuzz --version $(CARGO_FUZZ_VERSION) --locked
	@rustup toolchain list | grep -q ^nightly || rustup toolchain install nightly --profile minimal
	@targets="$$($(CARGO) +nightly fuzz list)" && test -n "$$targets" || { echo "there are no fuzz targets" >&2; exit 1; }; \
	for target in $$targets; do \
		echo "== $$target, $(SECONDS_EACH) s"; \
		$(CARGO) +nightly fuzz run "$$target" -- -max_total_time=$(SECONDS_EACH) -rss_limit_mb=4096 || exit 1; \
	done

lint: packages-test web ## check formatting, warnings, types and documentation
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --features pcsc -- -D warnings
	$(CARGO) clippy --no-default-features -- -D warnings
	cd $(WEB) && npm run check
	RUSTDOCFLAGS=-Dwarnings $(CARGO) doc --no-deps

web: $(WEB)/dist/index.html ## build the page that the binary serves

build: packages web ## build the release binary, target/release/chevet
	$(CARGO) build --release

deb: packages-test web ## build the Debian packages in target/debian: chevet, and chevet-seat, which reads badges by PC/SC
	@test "$$($(CARGO) deb --version 2>/dev/null)" = "$(CARGO_DEB_VERSION)" \
		|| $(CARGO) install cargo-deb --version $(CARGO_DEB_VERSION) --locked
	$(CARGO) deb --strip
	$(CARGO) deb --strip --variant seat

container: deb ## build a container of the gateway, with podman or CONTAINER=docker or buildah
	$(CONTAINER) build -t chevet -f packaging/Containerfile .

clean: ## remove everything that was built
	$(CARGO) clean
	rm -rf $(WEB)/dist $(WEB)/.test $(WEB)/node_modules $(TEST_PROVIDER)/node_modules $(TEST_COLLECTOR)/venv $(TEST_COLLECTOR)/.installed

packages:
	@scripts/install.sh build

packages-demo:
	@scripts/install.sh build demo

packages-bench:
	@scripts/install.sh build demo bench

packages-peers:
	@scripts/install.sh build peers

packages-test:
	@scripts/install.sh build demo test

$(WEB)/node_modules/.installed: $(WEB)/package-lock.json $(WEB)/package.json
	cd $(WEB) && npm ci --no-audit --no-fund
	@touch $@

$(TEST_PROVIDER)/node_modules/.installed: $(TEST_PROVIDER)/package-lock.json $(TEST_PROVIDER)/package.json
	cd $(TEST_PROVIDER) && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

$(TEST_COLLECTOR)/.installed: $(TEST_COLLECTOR)/requirements.txt
	/usr/bin/python3 -m venv $(TEST_COLLECTOR)/venv
	$(TEST_COLLECTOR)/venv/bin/pip install -q --disable-pip-version-check -r $<
	@touch $@

$(WEB)/dist/index.html: $(WEB)/node_modules/.installed $(WEB_SOURCES)
	cd $(WEB) && npm run build
	@touch $@
