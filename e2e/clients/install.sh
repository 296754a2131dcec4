#!/bin/sh
# Installs the stock clients that the tests and the demo run, and prints the folder that they are in: bin/python,
# node_modules, and selenium-java/target. Does nothing if they are there; another lock file means another folder.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
java=$here/../../examples/selenium-java
cache=${BROWSER_OPERATOR_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/browser-operator}
missing=
# Debian splits venv from Python.
python3 -c 'import ensurepip, venv' 2>/dev/null || missing="python3 python3-venv"
command -v npm >/dev/null || missing="$missing nodejs npm"
command -v javac >/dev/null || missing="$missing default-jdk-headless"
command -v mvn >/dev/null || missing="$missing maven"
# Ruby's gems come from Debian, as everything native here does.
ruby -e 'require "selenium-webdriver"; require "capybara"' 2>/dev/null ||
    missing="$missing ruby ruby-selenium-webdriver ruby-capybara"
if [ -n "$missing" ]; then
    echo "installing $missing" >&2
    # shellcheck disable=SC2086
    { apt-get update && apt-get install --yes --no-install-recommends $missing; } >&2
fi
key=$({
    python3 --version
    cat "$here/requirements.txt" "$here/package-lock.json" "$java/pom.xml" "$java/src/main/java/"* "$0"
} | sha256sum | cut -c1-16)
folder=$cache/clients/$key

mkdir -p "$cache/clients"
exec 9>"$cache/clients/lock"
flock 9
if [ ! -e "$folder/complete" ]; then
    rm -rf "$folder"
    python3 -m venv "$folder" >&2
    "$folder/bin/pip" install --quiet --no-deps --requirement "$here/requirements.txt" >&2
    cp "$here/package.json" "$here/package-lock.json" "$here/.npmrc" "$folder/"
    (cd "$folder" && npm ci --ignore-scripts --silent) >&2
    # Maven builds beside its sources, and these may be read-only.
    mkdir "$folder/selenium-java"
    cp -R "$java/pom.xml" "$java/src" "$folder/selenium-java/"
    mvn --file "$folder/selenium-java" --batch-mode --quiet -Dmaven.repo.local="$cache/clients/maven" compile >&2
    touch "$folder/complete"
fi
echo "$folder"
