#!/usr/bin/env bash
# What does not fit into `make test`: other kinds of cluster, other versions of the operator, a longer soak. Each part brings
# up what it needs and takes it down again; the last lines say what ran and how it ended. Works from an empty cache, and
# faster from a full one.
#   e2e/long.sh [PART ...]     all parts, or some: ipv6 dual skew soak
# LONG_CLUSTER names the cluster (test), SOAK_MINUTES the soak's length (10), SKEW_FROM the commit that `skew` compares with.
set -uo pipefail
cd "$(dirname "$0")/.."

name=${LONG_CLUSTER:-test}
state=e2e/cluster/state
[[ $name = dev ]] || state=$state-$name
cache=${BROWSER_OPERATOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/browser-operator}
logs=$cache/log/long
mkdir -p "$logs"
export PYTHONDONTWRITEBYTECODE=1 RUST_BACKTRACE=0 RUST_TEST_THREADS="${RUST_TEST_THREADS:-4}"

cluster() { cargo run --quiet --package cluster -- "$@"; }
summary=() passed=0 failed=0

# counted PART LOG: adds up the lines with which cargo's tests and our own parts end.
counted() {
    local part=$1 log=$2 ok bad
    ok=$(sed -nE 's/^test result: .* ([0-9]+) passed;.*/\1/p; s/^([0-9]+) passed, [0-9]+ failed$/\1/p' "$log" | awk '{n += $1} END {print n + 0}')
    bad=$(sed -nE 's/^test result: .* ([0-9]+) failed;.*/\1/p; s/^[0-9]+ passed, ([0-9]+) failed$/\1/p' "$log" | awk '{n += $1} END {print n + 0}')
    # Whatever ended without a count has failed all the same.
    (($3 == 0 || bad > 0)) || bad=1
    ((passed += ok, failed += bad))
    summary+=("$part: $ok passed, $bad failed, $((SECONDS / 60))m$((SECONDS % 60))s, $log")
    sed -n 's/^test \(.*\) \.\.\. FAILED$/    failed: \1/p; s/^failed: /    failed: /p' "$log" | sort -u >"$log.failed"
    while IFS= read -r line; do summary+=("$line"); done <"$log.failed"
}

# suite FLAG ... -- TEST ...: those tests of the suite, on a cluster that is brought up with those flags.
suite() {
    local flags=() tests=()
    while [[ $1 != -- ]]; do flags+=("$1") && shift; done
    shift
    for test in "$@"; do tests+=(--test "$test"); done
    cluster up --name "$name" "${flags[@]}" || return 1
    # shellcheck disable=SC1091
    (source "$state/env" && cargo test --locked --package e2e --no-fail-fast "${tests[@]}")
}

# What the addresses of a cluster can make a difference to.
core=(ip_families manifest classic bidi cdp_url devtools hosted examples)
ipv6() { suite --ip-family ipv6 -- "${core[@]}"; }
dual() { suite --ip-family dual -- "${core[@]}"; }
soak() {
    cluster up --name "$name" || return 1
    # shellcheck disable=SC1091
    (source "$state/env" && cargo run --quiet --package e2e --bin soak -- --minutes "${SOAK_MINUTES:-10}") &&
        echo "1 passed, 0 failed"
}
skew() { LONG_CLUSTER=$name e2e/skew.sh; }

parts=("$@")
((${#parts[@]})) || parts=(ipv6 dual skew soak)
for part in "${parts[@]}"; do
    [[ $part =~ ^(ipv6|dual|skew|soak)$ ]] || { echo "long.sh: $part is none of ipv6, dual, skew, soak" >&2 && exit 2; }
done
trap 'cluster down --name "$name"' EXIT
for part in "${parts[@]}"; do
    echo "==> $part"
    SECONDS=0
    if [[ $part = ipv6 || $part = dual ]] && [[ ! -e /proc/sys/net/ipv6 ]]; then
        summary+=("$part: left out, this kernel has no IPv6")
        continue
    fi
    "$part" 2>&1 | tee "$logs/$part.log"
    counted "$part" "$logs/$part.log" "${PIPESTATUS[0]}"
    cluster down --name "$name"
done
echo "==> what ran"
printf '%s\n' "${summary[@]}"
echo "$passed passed, $failed failed"
((failed == 0))
