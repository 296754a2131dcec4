#!/bin/sh
# Prepares the root of the image, after its packages are installed.
set -eu
groupadd --gid 65532 browser
useradd --uid 65532 --gid 65532 --create-home --home-dir /home/browser --shell /usr/sbin/nologin browser
# Chromium asks for a machine id at every start.
echo 0123456789abcdef0123456789abcdef >/etc/machine-id
# Without a graphics card Chromium draws with the SwiftShader that it brings along: a fifth of the root is never read.
libraries=/usr/lib/$(uname -m)-linux-gnu
rm -rf "$libraries"/dri "$libraries"/libLLVM-* "$libraries"/libz3.so* /usr/lib/chromium/libVkLayer_khronos_validation.so
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*
# What no client may have of Chromium: programs that extensions start, which it looks for below a profile; apps and pages with
# sockets of their own, which reach the driver's port; and the page that sets other policies while it runs.
mkdir -p /etc/chromium/policies/managed
cat >/etc/chromium/policies/managed/browser-operator.json <<'EOF'
{
  "DefaultDirectSocketsSetting": 2,
  "ExtensionAllowedTypes": ["extension", "theme"],
  "NativeMessagingUserLevelHosts": false,
  "PolicyTestPageEnabled": false
}
EOF
