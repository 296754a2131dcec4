#!/bin/sh
# agent-browser: CDP_URL=ws://... SITE_URL=http://... agent_browser.sh <folder of the installed clients>
set -eu
program=$1/node_modules/agent-browser/bin/agent-browser-linux-$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')
chmod +x "$program"
# Its daemon is this run's own, and ends with it.
AGENT_BROWSER_SESSION=browser-operator-$$
AGENT_BROWSER_SOCKET_DIR=$(mktemp -d)
AGENT_BROWSER_NO_VERSION_CHECK=1
export AGENT_BROWSER_SESSION AGENT_BROWSER_SOCKET_DIR AGENT_BROWSER_NO_VERSION_CHECK
trap '"$program" close >/dev/null 2>&1 || true; rm -rf "$AGENT_BROWSER_SOCKET_DIR"' EXIT
"$program" connect "$CDP_URL"
"$program" open "$SITE_URL/"
echo "title: $("$program" get title)"
"$program" click '#link'
"$program" wait --load load
echo "clicked: $("$program" get title)"
