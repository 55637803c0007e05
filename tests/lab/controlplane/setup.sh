#!/usr/bin/env bash
# Builds the lab's Kubernetes (the servers, kwok, kubectl, the launcher) into the cache when it is missing or its sources
# changed, and prints the path of the launcher. The first time takes minutes.
# Exit 3, with one line that says why, where it cannot be built: the tests that need it are then skipped.
set -u

lab=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${EVENKEEL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/evenkeel}/controlplane

cannot() {
    echo "$1" >&2
    exit 3
}

# Of names and contents; this script too, for how it builds.
hash_of() {
    (cd "$lab" && find "$@" setup.sh -type f | LC_ALL=C sort | xargs sha256sum) | sha256sum | cut -c1-16
}

# The same sources were built before; the touch keeps them from being thrown away below.
whole=$cache/$(hash_of .)
found() {
    [ -x "$whole/launcher" ] && touch "$whole" && echo "$whole/launcher"
}
found && exit 0

[ "$(uname -s)" = Linux ] || cannot "the lab's Kubernetes runs on Linux only, and this is $(uname -s)"
command -v go >/dev/null || cannot "go is missing: the lab's Kubernetes is built with Go 1.26 or newer (https://go.dev/dl)"
mkdir -p "$cache" || cannot "the folder $cache cannot be made"
# Two test runs at once: the second waits and then finds it built.
exec 9>"$cache/lock"
if command -v flock >/dev/null; then
    flock 9
    found && exit 0
fi

log=$cache/build.log
: >"$log"
# Static, so that a kubelet runs in any root; offline but for the modules.
export CGO_ENABLED=0 GOWORK=off GOFLAGS="-mod=readonly -trimpath -buildvcs=false"

# A part that did not change is not linked anew.
build() {
    local made=$1 folder=$2 package=$3 flags=$4
    [ -x "$made" ] && touch "$made" && return
    echo "building $(basename "$package") of the lab's Kubernetes in $cache" >&2
    (cd "$folder" && go build -ldflags "-s -w $flags" -o "$made.part" "$package") >>"$log" 2>&1 &&
        mv "$made.part" "$made" ||
        cannot "the lab's Kubernetes ($package) does not build (no module proxy? an older Go?); the words are in $log"
}

servers=$cache/servers-$(hash_of go.mod go.sum servers)
kwok=$cache/kwok-$(hash_of kwok)
launcher=$cache/launcher-$(hash_of go.mod go.sum launcher)
# No client can parse a server's version that the build does not tell.
version=$(cd "$lab" && go list -m -f '{{.Version}}' k8s.io/kubernetes 2>>"$log")
build "$servers" "$lab" ./servers "-X k8s.io/component-base/version.gitVersion=$version"
build "$kwok" "$lab/kwok" sigs.k8s.io/kwok/cmd/kwok ""
build "$launcher" "$lab" ./launcher ""

part=$whole.part
rm -rf "$part"
mkdir "$part" || cannot "the folder $part cannot be made"
for name in etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kubectl; do
    ln "$servers" "$part/$name"
done
ln "$kwok" "$part/kwok"
# What simulated nodes and pods do, as kwok itself has it.
stages=$(cd "$lab/kwok" && go list -m -f '{{.Dir}}' sigs.k8s.io/kwok)/kustomize/stage
for stage in "$stages"/{node/fast/node-initialize,node/heartbeat-with-lease/node-heartbeat-with-lease}.yaml \
    "$stages"/pod/fast/pod-{ready,complete,delete}.yaml; do
    { cat "$stage" && echo && echo "---"; } >>"$part/stages.yaml" || cannot "kwok's module has no $stage"
done
# Last: its presence says that all is there.
ln "$launcher" "$part/launcher"
rm -rf "$whole"
mv "$part" "$whole" || cannot "the folder $whole cannot be made"
# Each version takes a quarter of a gigabyte.
find "$cache" -mindepth 1 -maxdepth 1 -mtime +30 ! -name lock -exec rm -rf {} +
echo "$whole/launcher"
