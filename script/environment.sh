# Sourced by the scripts: where the repository is and where things are built.
# shellcheck shell=bash

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

# One target folder for all clones if ~/.cache/somo/target exists, unless CARGO_TARGET_DIR says otherwise.
if [[ -z "${CARGO_TARGET_DIR:-}" ]]; then
    if [[ -d "${HOME:-/nonexistent}/.cache/somo/target" ]]; then
        CARGO_TARGET_DIR="$HOME/.cache/somo/target"
    else
        CARGO_TARGET_DIR="$ROOT/target"
    fi
fi
export CARGO_TARGET_DIR

# rustup's and cargo's own installs, where a shell without a login profile doesn't look.
[[ -d "${HOME:-/nonexistent}/.cargo/bin" && ":$PATH:" != *":$HOME/.cargo/bin:"* ]] && PATH="$PATH:$HOME/.cargo/bin"

say() { printf '%s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 1
}

# The folder of the newest PostgreSQL server's programs: Debian doesn't put it on the PATH.
postgres_bin() {
    local found
    found="$(find /usr/lib/postgresql -maxdepth 3 -path '*/bin/postgres' 2>/dev/null | sort -V | tail -n 1)"
    [[ -n "$found" ]] || found="$(command -v postgres || true)"
    [[ -n "$found" ]] && dirname "$(readlink -f "$found")"
}

# A Python with the packages of script/requirements.txt, installed once per version of that list.
python_with_packages() {
    local list="$ROOT/script/requirements.txt" venv
    venv="$CARGO_TARGET_DIR/python/$(sha256sum "$list" | cut -c1-12)"
    if [[ ! -e "$venv/complete" ]]; then
        mkdir -p "$(dirname "$venv")"
        # Two scripts at once: the second waits for the first.
        (
            flock 9
            [[ -e "$venv/complete" ]] && exit 0
            python3 -m venv --clear "$venv" >&2
            "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$list" >&2
            touch "$venv/complete"
        ) 9>"$venv.lock" || fail "the packages of script/requirements.txt could not be installed: see above"
    fi
    echo "$venv/bin/python"
}
