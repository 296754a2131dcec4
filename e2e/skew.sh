#!/usr/bin/env bash
# Two versions of the operator in one cluster, with live sessions: an upgrade as users do it, then agents, gateways and
# controllers of the version before beside those of this one.
#   LONG_CLUSTER=test [SKEW_FROM=COMMIT] e2e/skew.sh
set -euo pipefail
cd "$(dirname "$0")/.."

name=${LONG_CLUSTER:-test}
# The last one before the API of this version.
from=$(git rev-parse --verify "${SKEW_FROM:-011a06b}^{commit}")
cache=${BROWSER_OPERATOR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/browser-operator}
before=$cache/skew/$from
state=e2e/cluster/state
[[ $name = dev ]] || state=$state-$name
images=(operator chromium firefox)

cluster() { cargo run --quiet --package cluster -- "$@"; }
cluster_before() { (cd "$before" && CARGO_TARGET_DIR=${SKEW_TARGET_DIR:-$cache/target-skew} cargo run --quiet --package cluster -- "$@"); }
ctr() { cluster exec --name "$name" -- ctr --namespace k8s.io "$@" >/dev/null; }
of_operator() { kubectl --namespace browser-operator "$@"; }
skew() {
    echo "==> $1"
    shift
    cargo run --quiet --package e2e --bin skew -- "$@" || failed=1
}
failed=0

if [[ ! -e $before/complete ]]; then
    rm -rf "$before" && mkdir -p "$before"
    # Touched, so that cargo sees that they are not what it compiled last.
    git archive "$from" | tar --extract --touch --directory "$before"
    touch "$before/complete"
fi
cluster_before up --name "$name" --state-dir "$PWD/$state"
# shellcheck disable=SC1091
source "$state/env"
cargo build --quiet --package cluster --package e2e --bin cluster --bin skew
skew 'an upgrade under live sessions' --during "cargo run --quiet --package cluster -- up --name $name"

# Both versions of each image, under tags of their own.
for image in "${images[@]}"; do ctr images tag --force "browser-operator.io/$image:dev" "browser-operator.io/$image:now"; done
while read -r reference archive; do
    [[ $reference =~ ^browser-operator.io/(operator|chromium|firefox):dev$ ]] || continue
    ctr images import "$archive"
    ctr images tag --force "$reference" "${reference%:dev}:before"
    ctr images tag --force "${reference%:dev}:now" "$reference"
done < <(cluster_before images)

kubectl get browserclass chromium --output json | python3 -c '
import json, sys
one = json.load(sys.stdin)
one["metadata"] = {"name": "chromium-before"}
one.pop("status", None)
for version in one["spec"]["versions"]:
    version["image"] = "browser-operator.io/chromium:before"
json.dump(one, sys.stdout)' | kubectl apply --filename - >/dev/null
skew 'agents of the version before' --class chromium-before

kubernetes=$(kubectl get nodes --output 'jsonpath={.items[0].status.nodeInfo.kubeletVersion}')
# deploy_before COMPONENT: its Deployment from the chart of the version before, beside the one of this.
deploy_before() {
    helm template browser-operator "$before/charts/browser-operator" --namespace browser-operator \
        --values "$before/e2e/cluster/values.yaml" --set-string "image.tag=before,gateway.externalUrl=$GATEWAY_URL" \
        --set gateway.replicas=1,controller.replicas=1 --show-only "templates/$1.yaml" --kube-version "$kubernetes" |
        kubectl create --dry-run=client --output json --filename - | python3 -c '
import json, sys
text, component = sys.stdin.read(), sys.argv[1]
decoder, at = json.JSONDecoder(), 0
while at < len(text.rstrip()):
    at += len(text[at:]) - len(text[at:].lstrip())
    one, at = decoder.raw_decode(text, at)
    if one["kind"] != "Deployment":
        continue
    one["metadata"]["name"] += "-before"
    for labels in one["spec"]["selector"]["matchLabels"], one["spec"]["template"]["metadata"]["labels"]:
        labels["app.kubernetes.io/component"] = component + "-before"
    json.dump(one, sys.stdout)' "$1" | kubectl apply --filename - >/dev/null
    of_operator rollout status --timeout=2m "deployment/browser-operator-$1-before" >/dev/null
}
deploy_before gateway
address=$(of_operator get pods --selector app.kubernetes.io/component=gateway-before --output 'jsonpath={.items[0].status.podIP}')
[[ $address != *:* ]] || address="[$address]"
both=$GATEWAY_URL,http://$address:4444
skew 'gateways of both versions' --gateways "$both"
deploy_before controller
skew 'the controller of the version before takes over' --gateways "$both" \
    --during 'kubectl --namespace browser-operator scale deployment/browser-operator-controller --replicas=0 && sleep 20'
skew 'new agents under the controller of the version before'
skew 'the controller of this version takes over' --gateways "$both" --during 'kubectl --namespace browser-operator \
    scale deployment/browser-operator-controller --replicas=1 && kubectl --namespace browser-operator scale \
    deployment/browser-operator-controller-before --replicas=0 && kubectl --namespace browser-operator rollout status \
    deployment/browser-operator-controller --timeout=2m'
exit "$failed"
