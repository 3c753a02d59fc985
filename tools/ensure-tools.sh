#!/usr/bin/env bash
# Install the developer tools that pip cannot bring; do nothing when they are there.
#
#   .tools/opa             OPA, built from source at the pinned version (policy checks, tests against a real OPA server)
#   PostgreSQL 15 server   from the system's packages (tests against a second major version as target)
#   Chromium               from the system's packages (tests of the pages in a real browser)
#
# Where a tool cannot be installed, one line beginning with "skipped:" says so and the tests that need it are skipped.
# Under CI=true a missing tool ends the run with an error.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly opa_version=1.22.2
readonly go_minimum=1.26.0      # the `go` line of OPA's go.mod at that version
readonly go_toolchain=1.26.8    # fetched when the system's Go is older (Debian 12 ships 1.19)
readonly postgres_major=15      # the oldest supported target

readonly tools_dir="$PWD/.tools"
readonly log="$tools_dir/install.log"
export DEBIAN_FRONTEND=noninteractive

missing=0

give_up() { # tool, reason
    if [[ "${CI:-}" == true ]]; then
        echo "missing: $1 ($2); a run with CI=true needs it" >&2
        [[ ! -s "$log" ]] || tail -n 20 "$log" >&2
    else
        echo "skipped: $1 ($2)"
    fi
    missing=1
}

apt_install() { # package...
    [[ $EUID -eq 0 ]] && command -v apt-get >/dev/null || return 1
    # The package lists of a fresh machine are empty or old, so a failed install is tried once more with new ones.
    apt-get install -y -qq --no-install-recommends "$@" >>"$log" 2>&1 && return 0
    apt-get update -qq >>"$log" 2>&1 && apt-get install -y -qq --no-install-recommends "$@" >>"$log" 2>&1
}

find_go() {
    local candidate
    for candidate in "$tools_dir/go/bin/go" "$(command -v go || true)" /usr/local/go/bin/go /usr/bin/go; do
        if [[ -x "$candidate" ]] && "$candidate" version >/dev/null 2>&1; then
            echo "$candidate"
            return 0
        fi
    done
    return 1
}

is_recent_go() { # path of go
    local have
    have="$("$1" version | awk '{print $3}')"
    [[ "$(printf '%s\n' "$go_minimum" "${have#go}" | sort -V | head -n 1)" == "$go_minimum" ]]
}

# A Go toolchain is published as a Go module, so that any Go since 1.11 can fetch it and check it against the public checksum
# database. The module system marks no file as executable and hides each go.mod as _go.mod; both are put right here, as the
# `go` command itself does from 1.21 on.
fetch_go_toolchain() { # path of an older go
    local old_go="$1" module="golang.org/toolchain" version cache directory hidden
    version="v0.0.1-go$go_toolchain.$("$old_go" env GOHOSTOS)-$("$old_go" env GOHOSTARCH)"
    cache="$tools_dir/go-download"
    directory="$(cd "$tools_dir" && GOMODCACHE="$cache" GOFLAGS='' GOTOOLCHAIN=local \
        "$old_go" mod download -json "$module@$version" 2>>"$log" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')"
    if [[ -z "$directory" || ! -d "$directory" ]]; then
        rm -rf "$cache"
        return 1
    fi
    rm -rf "$tools_dir/go" "$tools_dir/go.partial"
    cp -R "$directory" "$tools_dir/go.partial"
    chmod -R u+w "$cache" "$tools_dir/go.partial"
    rm -rf "$cache"
    chmod +x "$tools_dir"/go.partial/bin/* "$tools_dir"/go.partial/pkg/tool/*/*
    for hidden in src/_go.mod src/cmd/_go.mod; do
        cp "$tools_dir/go.partial/$hidden" "$tools_dir/go.partial/${hidden/_go.mod/go.mod}"
    done
    mv "$tools_dir/go.partial" "$tools_dir/go"
}

ensure_opa() {
    local name="OPA $opa_version" go
    if [[ "$("$tools_dir/opa" version 2>/dev/null | awk '/^Version:/ {print $2}')" == "$opa_version" ]]; then
        return 0
    fi
    if ! go="$(find_go)"; then
        if ! apt_install golang-go || ! go="$(find_go)"; then
            give_up "$name" "Go is not installed; install Go $go_minimum or newer"
            return 0
        fi
    fi
    if ! is_recent_go "$go"; then
        echo "tools: fetching Go $go_toolchain, because the installed Go is older than $go_minimum"
        if ! fetch_go_toolchain "$go" || ! go="$(find_go)" || ! is_recent_go "$go"; then
            give_up "$name" "Go $go_minimum or newer is needed and could not be fetched"
            return 0
        fi
    fi
    echo "tools: building $name, once (some minutes)"
    # Without cgo no C compiler is needed, and the policy compiler is pure Go.
    if ! GOBIN="$tools_dir" CGO_ENABLED=0 GOTOOLCHAIN=local "$go" install "github.com/open-policy-agent/opa@v$opa_version" >>"$log" 2>&1; then
        give_up "$name" "go install failed: $(tail -n 1 "$log")"
    fi
}

ensure_postgres() {
    local server="/usr/lib/postgresql/$postgres_major/bin/postgres" name="PostgreSQL $postgres_major server"
    [[ -x "$server" ]] && return 0
    if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
        give_up "$name" "not installed, and only root on Debian can install it here"
        return 0
    fi
    echo "tools: installing $name"
    # postgresql-common comes first: its setting keeps the server package from starting a cluster of its own.
    if ! apt_install postgresql-common ||
        ! sed -ri 's/^#?\s*create_main_cluster\s*=.*$/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf ||
        ! apt_install "postgresql-$postgres_major" || [[ ! -x "$server" ]]; then
        give_up "$name" "the package postgresql-$postgres_major could not be installed"
    fi
}

ensure_chromium() {
    command -v chromium >/dev/null && return 0
    if [[ $EUID -ne 0 ]] || ! command -v apt-get >/dev/null; then
        give_up "Chromium" "not installed, and only root on Debian can install it here"
        return 0
    fi
    echo "tools: installing Chromium"
    if ! apt_install chromium || ! command -v chromium >/dev/null; then
        give_up "Chromium" "the package chromium could not be installed"
    fi
}

mkdir -p "$tools_dir"
: >"$log"
if [[ -z "${HOME:-}" ]]; then
    export GOPATH="$tools_dir/gopath" GOCACHE="$tools_dir/gocache"
fi
ensure_opa
ensure_postgres
ensure_chromium
[[ $missing -eq 0 || "${CI:-}" != true ]]
