#!/usr/bin/env bash
# Runs the end-to-end tests: on a cluster of its own, which it brings up and takes down, or on the one that
# KUBECONFIG names. On failure it tells the story of what failed.
set -euo pipefail
cd "$(dirname "$0")/.."

cluster() { cargo run --quiet --package cluster -- "$@"; }

# Tests wait more than they work: twice as many as there are processors on a small machine.
export PYTHONDONTWRITEBYTECODE=1 RUST_BACKTRACE=0 RUST_TEST_THREADS="${RUST_TEST_THREADS:-4}"
if [[ -n "${KUBECONFIG:-}" ]]; then
    echo "==> end-to-end tests on the cluster of $KUBECONFIG"
    # Where the chart and examples put them, unless they are elsewhere.
    export GATEWAY_URL="${GATEWAY_URL:-http://$(kubectl --namespace browser-operator get service \
        browser-operator-gateway --output 'jsonpath={.spec.clusterIP}:{.spec.ports[0].port}')}"
    export SITE_URL="${SITE_URL:-http://site.site.svc.cluster.local}"
    cargo test --locked --package e2e --no-fail-fast -- --show-output
    exit
fi

# One that an earlier run left over is in nobody's way for long.
cluster down --name test
finish() {
    local status=$?
    if ((status != 0)); then
        cluster logs --name test || true
    fi
    cluster down --name test
    exit "$status"
}
trap finish EXIT
cluster up --name test
# shellcheck disable=SC1091
source e2e/cluster/state-test/env
cargo test --locked --package e2e --no-fail-fast -- --show-output
