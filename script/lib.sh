# Shared by the programs in script/. Source it; it changes into the root of the tree.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# say WORD...: one line of talk, on stderr like all talk; stdout is for results.
say() { printf '%s\n' "$*" >&2; }

fail() {
  say "error: $*"
  exit 1
}

# jobs: how many compilers may run at once. One per processor, but at least 2 GiB of free memory each: a file with
# gRPC headers takes up to 1.2 GiB, and a machine that swaps is slower than one job less.
jobs_at_once() {
  local processors free_kib most
  processors=$(nproc)
  free_kib=$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo 2>/dev/null || true)
  most=$((${free_kib:-4194304} / 2097152))
  ((most >= 1)) || most=1
  echo $((processors < most ? processors : most))
}

# phase NAME LOG COMMAND...: runs the command with its output in LOG and prints one line; if it fails, prints the part of
# the log that says why, and returns the command's exit code.
phase() {
  local name=$1 log=$2 began=$SECONDS code=0
  shift 2
  mkdir -p "$(dirname "$log")"
  printf '%s ... ' "$name" >&2
  "$@" >"$log" 2>&1 </dev/null || code=$?
  if ((code == 0)); then
    say "done in $((SECONDS - began)) s"
    return 0
  fi
  say "FAILED after $((SECONDS - began)) s; the whole log is $log"
  failure_lines "$log" >&2
  return "$code"
}

# From ninja's first failure on, or the end of the log where there is none.
failure_lines() {
  if grep -q '^FAILED: ' "$1"; then
    awk '/^FAILED: / {on = 1} on' "$1" | cut -c 1-400 | head -n 120
  else
    tail -n 60 "$1"
  fi
}

# source_files: every C++ file of ours, one a line, sorted; the same with and without a repository around.
source_files() {
  find server client tests \( -name '*.cc' -o -name '*.h' \) -type f | LC_ALL=C sort
}

# install_node_modules: npm ci, if package-lock.json is not the one that was installed last.
install_node_modules() {
  local lock stamp=node_modules/.installed-lock
  lock=$(sha256sum package-lock.json | cut -d ' ' -f 1)
  if [[ ! -e $stamp || $(<"$stamp") != "$lock" ]]; then
    phase "install: npm packages of package-lock.json" build/log/npm npm ci --ignore-scripts --no-audit --no-fund || return
    echo "$lock" >"$stamp"
  fi
}
