#!/usr/bin/env bash
# Installs what the lab's real nodes are made of, where nobody minds: on CI's machines, as root, on Debian. Anywhere else
# the tests of real nodes say what is missing and are skipped.
set -u

packages="containerd runc containernetworking-plugins busybox-static"

[ "${CI:-}" = true ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0
# shellcheck disable=SC2086
dpkg --status $packages >/dev/null 2>&1 && exit 0
export DEBIAN_FRONTEND=noninteractive
apt-get --quiet=2 update &&
    apt-get --quiet=2 install --no-install-recommends --yes $packages >/dev/null ||
    echo "apt-get could not install $packages" >&2
