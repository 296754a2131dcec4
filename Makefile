# What there is to do here. `make help` lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Everything that takes long to make is kept here, where a fresh clone finds it again.
export BROWSER_OPERATOR_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/browser-operator
export CARGO_TARGET_DIR ?= $(BROWSER_OPERATOR_CACHE)/target
CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := $(BROWSER_OPERATOR_CACHE)/cargo-tools/$(CARGO_DENY_VERSION)/bin/cargo-deny
# The tests run on a cluster that exists only if they are told so here, never because a shell has one at hand.
ifneq ($(origin KUBECONFIG),command line)
unexport KUBECONFIG
endif
CLUSTER := cargo run --quiet --package cluster --

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
check: fmt lint unit deny chart ## Run what needs no cluster

.PHONY: fmt
fmt:
	cargo fmt --all --check

.PHONY: lint
lint:
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --quiet

.PHONY: unit
unit: ## Run the unit and doc tests
	cargo test --workspace --exclude e2e --locked

.PHONY: deny
deny: $(CARGO_DENY)
	$(CARGO_DENY) check bans licenses sources

.PHONY: audit
audit: $(CARGO_DENY) ## Ask for known vulnerabilities of the dependencies (needs the advisory database)
	$(CARGO_DENY) check advisories

$(CARGO_DENY):
	@echo "==> build cargo-deny $(CARGO_DENY_VERSION)"
	cargo install cargo-deny --version $(CARGO_DENY_VERSION) --locked --quiet \
		--root $(BROWSER_OPERATOR_CACHE)/cargo-tools/$(CARGO_DENY_VERSION) \
		--target-dir $(BROWSER_OPERATOR_CACHE)/target-tools

.PHONY: chart
chart: ## Lint the charts, and check what they render against the schemas
	PATH="$$($(CLUSTER) tools):$$PATH" charts/check.sh

.PHONY: e2e
e2e: ## Run the end-to-end tests on a real cluster
	e2e/run.sh

.PHONY: bench
bench: up ## Measure create-to-Ready beside a bare pod and driver
	source e2e/cluster/state/env && cargo run --quiet --release --package e2e --bin bench

# --- what is generated ------------------------------------------------------------------------------------------

.PHONY: generate
generate: ## Write crds/yaml from the types
	cargo run --quiet --package browser-operator -- crd --out crds/yaml
