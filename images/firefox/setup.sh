#!/bin/sh
# Prepares the root of the image, after its packages are installed.
set -eu
groupadd --gid 65532 browser
useradd --uid 65532 --gid 65532 --create-home --home-dir /home/browser --shell /usr/sbin/nologin browser
echo 0123456789abcdef0123456789abcdef >/etc/machine-id
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
