# What there is to do here. `make help` lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:

# Everything that takes long to make is kept here, where a fresh clone finds it again.
export BROWSER_OPERATOR_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/browser-operator
export CARGO_TARGET_DIR ?= $(BROWSER_OPERATOR_CACHE)/target
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := $(BROWSER_OPERATOR_CACHE)/cargo-tools/$(CARGO_DENY_VERSION)/bin/cargo-deny
CARGO_FUZZ_VERSION := 0.13.2
CARGO_FUZZ := $(BROWSER_OPERATOR_CACHE)/cargo-tools/$(CARGO_FUZZ_VERSION)/bin/cargo-fuzz
FUZZ_SECONDS ?= 10
# The tests run on a cluster that exists only if they are told so here, never because a shell has one at hand.
ifneq ($(origin KUBECONFIG),command line)
unexport KUBECONFIG
endif
CLUSTER := cargo run --quiet --package cluster --
HOUSE := cargo run --quiet --package house --

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# --- the cluster ------------------------------------------------------------------------------------------------

.PHONY: up
up: ## Bring up a real one-node Kubernetes with the operator on it
	$(CLUSTER) up

.PHONY: down
down: ## Take it down, and leave nothing behind
	$(CLUSTER) down

.PHONY: demo
demo: up ## Bring it up, and drive a first session by kubectl and one by Selenium
	e2e/demo.sh e2e/cluster/state/env

# --- tests ------------------------------------------------------------------------------------------------------

.PHONY: test
test: check e2e ## Run everything. KUBECONFIG=... runs the end-to-end tests on a cluster that exists

.PHONY: check
check: fmt lint unit fuzz deny chart ## Run what needs no cluster

.PHONY: fmt
fmt:
	cargo fmt --all --check

.PHONY: lint
lint:
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet
	for rule in cycles tour subjects; do $(HOUSE) $$rule; done

.PHONY: unit
unit: ## Run the unit and doc tests
	cargo test --workspace --exclude e2e --locked

.PHONY: fuzz
fuzz: $(CARGO_FUZZ) ## Fuzz the parsers of what clients send, each for FUZZ_SECONDS (10)
	for target in capabilities messages; do
		corpus=$(BROWSER_OPERATOR_CACHE)/fuzz/$$target log=$(BROWSER_OPERATOR_CACHE)/log/fuzz-$$target.log
		mkdir -p $$corpus $(BROWSER_OPERATOR_CACHE)/log
		PATH="$(dir $(CARGO_FUZZ)):$$PATH" CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)-fuzz cargo fuzz run \
			--fuzz-dir operator/webdriver/fuzz --sanitizer none --debug-assertions \
			$$target $$corpus operator/webdriver/fuzz/seeds/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -max_len=8192 -print_final_stats=1 >$$log 2>&1 || { tail -50 $$log; exit 1; }
		echo "$$target: $$(sed -n 's/^stat::number_of_executed_units: *//p' $$log) inputs, none of them bad"
	done

.PHONY: deny
deny: $(CARGO_DENY)
	$(CARGO_DENY) check bans licenses sources

.PHONY: audit
audit: $(CARGO_DENY) ## Ask for known vulnerabilities of the dependencies (needs the advisory database)
	$(CARGO_DENY) check advisories

# $(1): the file of a tool that cargo builds; $(2): its crate; $(3): its version.
define cargo_tool
$(1):
	@echo "==> build $(2) $(3)"
	cargo install $(2) --version $(3) --locked --quiet \
		--root $(BROWSER_OPERATOR_CACHE)/cargo-tools/$(3) \
		--target-dir $(BROWSER_OPERATOR_CACHE)/target-tools
endef
$(eval $(call cargo_tool,$(CARGO_DENY),cargo-deny,$(CARGO_DENY_VERSION)))
$(eval $(call cargo_tool,$(CARGO_FUZZ),cargo-fuzz,$(CARGO_FUZZ_VERSION)))

.PHONY: chart
chart: ## Lint the charts, and check what they render against the schemas
	PATH="$$($(CLUSTER) tools):$$PATH" charts/check.sh

.PHONY: e2e
e2e: ## Run the end-to-end tests on a real cluster
	e2e/run.sh

.PHONY: test-long
test-long: ## Run what takes long: clusters of IPv6 and of both families, version skew, a soak; PARTS="ipv6 skew" chooses
	e2e/long.sh $(PARTS)

.PHONY: soak
soak: up ## Sessions at random while what runs them is killed, for 5 minutes; SOAK="--minutes 60 --seed 7" or --help says more
	source e2e/cluster/state/env && cargo run --quiet --package e2e --bin soak -- $(SOAK)

.PHONY: bench
bench: ## Measure it all beside bare parts and HAProxy, in one run; PARTS=... chooses
	$(CLUSTER) up --release
	source e2e/cluster/state/env && cargo run --quiet --release --package e2e --bin bench -- $(PARTS)

# --- what is generated ------------------------------------------------------------------------------------------

.PHONY: generate
generate: ## Write crds/yaml from the types
	cargo run --quiet --package browser-operator -- crd --out crds/yaml
