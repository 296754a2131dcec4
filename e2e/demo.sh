#!/usr/bin/env bash
# The demo: a session from a manifest, driven over BiDi; then Selenium through the gateway.
#   e2e/demo.sh <env file of a cluster> [folder for the pictures]
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
env_file=${1:-$root/e2e/cluster/state/env}
pictures=${2:-$(dirname "$env_file")}
# shellcheck disable=SC1090
source "$env_file"
export GATEWAY_URL SITE_URL

step() { printf '\n==> %s\n' "$*"; }
show() { printf '    $ %s\n' "$*"; "$@" | sed 's/^/      /'; }

# Only what this demo makes is removed, and only if it is in the way.
kubectl delete browsersession example --ignore-not-found >/dev/null

step 'install the stock clients (only the first time)'
clients=$("$root/e2e/clients/install.sh")

step 'a browser from a manifest: examples/session.yaml'
grep -v '^ *#' "$root/examples/session.yaml" | sed 's/^/      /'
begun=$(date +%s%N)
show kubectl apply -f examples/session.yaml
show kubectl wait --for=condition=Ready --timeout=120s bs/example
printf '    Ready after %s ms\n' $((($(date +%s%N) - begun) / 1000000))
show kubectl get bs example -o wide

step 'drive it over WebDriver BiDi: examples/bidi.py'
url=$(kubectl get bs example -o jsonpath='{.status.webSocketUrl}')
echo "    status.webSocketUrl is $url"
"$clients/bin/python" "$root/examples/bidi.py" "$url" "$SITE_URL/" "$pictures/bidi.png" | sed 's/^/    /'

step "a stock Selenium client through $GATEWAY_URL: examples/selenium_page.py"
said=$("$clients/bin/python" "$root/examples/selenium_page.py" "$pictures/selenium.png")
grep -v '^session:' <<<"$said" | sed 's/^/    /'
id=$(sed -n 's/^session: //p' <<<"$said")
# It quit; the record says so a moment later.
record=$(kubectl get bs -A -o jsonpath="{range .items[?(@.status.sessionId=='$id')]}{.metadata.namespace} bs/{.metadata.name}{end}")
# shellcheck disable=SC2086
kubectl wait --for=condition=Finished --timeout=30s -n $record >/dev/null

step 'what is there now'
show kubectl get browsers -A
cat <<END

    The pictures: $pictures/bidi.png
                  $pictures/selenium.png

    The cluster runs, and the session "example" with it; it ends by itself when nobody uses it for five minutes. Try:

      source $env_file
      kubectl get bs                            # its phase and reason
      kubectl describe bs example               # conditions, events, where it is
      kubectl logs \$(kubectl get bs example -o jsonpath='{.status.podName}')
      kubectl delete bs example                 # ends it; its sockets hear why
      BROWSER=firefox $clients/bin/python examples/selenium_page.py $pictures/firefox.png

    The end of it all: make down
END
