#!/usr/bin/env bash
# Checks both charts without a cluster and without a network: lint, render, schemas, and rules.py.
# Needs helm, kubeconform, kubectl, go and python3 in PATH. `charts/check.sh`
set -euo pipefail
charts=$(cd "$(dirname "$0")" && pwd)
crds=$charts/browser-operator-crds operator=$charts/browser-operator
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PYTHONDONTWRITEBYTECODE=1 KUBECONFIG=/dev/null

# The Kubernetes that e2e/cluster runs.
module() { (cd "$charts/../e2e/cluster/kubernetes" && go list -m -f "{{.$1}}" k8s.io/kubernetes); }
version=$(module Version)
sources=$(module Dir)
if [[ -z $sources ]]; then
    (cd "$charts/../e2e/cluster/kubernetes" && go mod download k8s.io/kubernetes)
    sources=$(module Dir)
fi

# Converts YAML to JSON by kubectl, because python3 has no YAML reader. The label only makes kubectl print the object.
json() { kubectl label --local --filename "$1" --output json browser-operator.io/read=yes; }
fail() {
    echo "check.sh: $*" >&2
    exit 1
}
# render NAME CHART [FLAG ...]: into $work/NAME.yaml. Hides helm's expected warning about the chart's link.
render() {
    local name=$1 chart=$2
    shift 2
    helm template browser-operator "$chart" --namespace browser-operator --kube-version "$version" "$@" \
        >"$work/$name.yaml" 2>"$work/log" || { cat "$work/log" >&2 && fail "$chart does not render ($name)"; }
}
conforms() {
    kubeconform -strict -summary -schema-location "$work/schemas/{{ .ResourceKind }}{{ .KindSuffix }}.json" "$@"
}
has() { grep --quiet --fixed-strings -- "$2" "$work/$1.yaml" || fail "$1 lacks $2"; }
lacks() { ! grep --quiet --fixed-strings -- "$2" "$work/$1.yaml" || fail "$1 has $2"; }

for chart in "$crds" "$operator"; do
    helm lint --strict --quiet "$chart" 2>"$work/log" || { cat "$work/log" >&2 && exit 1; }
    helm package "$chart" --destination "$work" >/dev/null 2>"$work/log" || { cat "$work/log" >&2 && exit 1; }
done

json "$charts/../crds/yaml" >"$work/crds.json"
python3 "$charts/schemas.py" "$sources/api/openapi-spec/swagger.json" "$work/schemas" <"$work/crds.json"

render crds "$crds"
render droppable "$crds" --set keep=false
lacks droppable helm.sh/resource-policy

render default "$operator"
lacks default --anonymous-namespace
lacks default --external-url
has default '--gateway-url=http://browser-operator-gateway.browser-operator.svc.cluster.local:4444'
has default 'browser-operator.io/is-default-class: "true"'

# A packaged chart renders the same, although it contains the definitions instead of a link to them.
render packaged-crds "$work"/browser-operator-crds-*.tgz
diff "$work/crds.yaml" "$work/packaged-crds.yaml"
render packaged "$work"/browser-operator-[0-9]*.tgz
diff "$work/default.yaml" "$work/packaged.yaml"

render anonymous "$operator" --set gateway.anonymousNamespace=everyone
has anonymous --anonymous-namespace=everyone

render external "$operator" --set gateway.externalUrl=https://browsers.example.com,gateway.service.type=LoadBalancer
has external --gateway-url=https://browsers.example.com
has external --external-url=https://browsers.example.com

render proxied "$operator" --set 'gateway.trustedProxies={10.0.0.0/8,fd00::/8}'
has proxied --trusted-proxies=10.0.0.0/8,fd00::/8

render without-seccomp "$operator" --set seccomp.enabled=false,classes.chromium.sandbox=container,classes.firefox.sandbox=container
lacks without-seccomp DaemonSet
lacks without-seccomp ConfigMap

render without-policy "$operator" --set admissionPolicy.enabled=false
lacks without-policy ValidatingAdmissionPolicy

render without-network-policy "$operator" --set networkPolicy.enabled=false
lacks without-network-policy --network-policy
lacks without-network-policy networkpolicies
has default '--network-policy={\"controller\":{\"matchLabels\":{'
has default servicecidrs
render networks "$operator" --set 'clusterNetworks={10.0.0.0/8,fd00::/8}'
has networks --cluster-networks=10.0.0.0/8,fd00::/8
lacks networks servicecidrs

render renamed "$operator" --set fullnameOverride=browsers
has renamed system:serviceaccount:browser-operator:browsers-gateway
lacks renamed :browser-operator-gateway

render class "$operator" --set 'classes.chromium.versions[0].version=157,classes.chromium.versions[0].image=example/chromium:157'
has class 'version: "157"'
has class 'image: example/chromium:157'

# The version of another image is not this release's.
render image "$operator" --set 'classes.firefox=null,classes.chromium.versions[0].image=example/chromium:157'
has image 'image: example/chromium:157'
lacks image 'version: "156.0"'

render no-class "$operator" --set classes.chromium=null,classes.firefox=null
lacks no-class BrowserClass

render scheduled "$operator" --values "$charts/testdata/scheduled.yaml"

conforms "$work"/*.yaml
cat "$work/crds.yaml" "$work/default.yaml" >"$work/all"
json "$work/all" | python3 "$charts/rules.py" "$work/crds.json"

# Tests of the checks themselves: they must refuse wrong input.
for wrong in 's/ replicas: 2/ replicaz: 2/' 's/ sandbox: browser/ sandbox: none/' 's/ sharedMemory:/ sharedMemori:/'; do
    sed "$wrong" "$work/default.yaml" >"$work/wrong.yaml"
    ! cmp --quiet "$work/default.yaml" "$work/wrong.yaml" || fail "$wrong changes nothing"
    ! conforms "$work/wrong.yaml" >/dev/null || fail "kubeconform lets $wrong pass"
done
for wrong in nonsense=1 gateway.replicaz=1 classes.chromium.sandboks=browser admissionPolicy.enable=true; do
    ! helm template "$operator" --kube-version "$version" --set "$wrong" >/dev/null 2>&1 ||
        fail "values.schema.json lets $wrong pass"
done
echo "check.sh: the charts are well"
