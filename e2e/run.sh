#!/usr/bin/env bash
# Runs the end-to-end tests: on a cluster of its own, which it brings up and takes down, or on the one that
# KUBECONFIG names. On failure it tells the story of what failed.
set -euo pipefail
cd "$(dirname "$0")/.."

cluster() { cargo run --quiet --package cluster -- "$@"; }

log=$(mktemp)
run_tests() { cargo test --locked --package e2e --no-fail-fast -- --show-output 2>&1 | tee "$log"; }
clean_up() { :; }
# What failed is said last: whoever sees only the end of the output sees it.
finish() {
    local status=$?
    clean_up "$status" || status=$((status ? status : 1))
    if ((status != 0)); then
        echo "==> what failed"
        grep --extended-regexp --after-context 1 \
            '^(test .* FAILED$|Error: |thread .* panicked|error)|process didn.t exit successfully' "$log" |
            cut --characters 1-600 || tail --lines 20 "$log"
    fi
    rm --force "$log"
    exit "$status"
}
trap finish EXIT

# Tests wait more than they work: twice as many as there are processors on a small machine.
export PYTHONDONTWRITEBYTECODE=1 RUST_BACKTRACE=0 RUST_TEST_THREADS="${RUST_TEST_THREADS:-4}"
if [[ -n "${KUBECONFIG:-}" ]]; then
    echo "==> end-to-end tests on the cluster of $KUBECONFIG"
    # Where the chart and examples put them, unless they are elsewhere.
    export GATEWAY_URL="${GATEWAY_URL:-http://$(kubectl --namespace browser-operator get service \
        browser-operator-gateway --output 'jsonpath={.spec.clusterIP}:{.spec.ports[0].port}')}"
    export SITE_URL="${SITE_URL:-http://site.site.svc.cluster.local}"
    run_tests
    exit
fi

# One that an earlier run left over is in nobody's way for long.
cluster down --name test
clean_up() {
    if (($1 != 0)); then
        cluster logs --name test || true
    fi
    cluster down --name test
}
cluster up --name test
# shellcheck disable=SC1091
source e2e/cluster/state-test/env
run_tests
