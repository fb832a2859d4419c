# What checks against a real server begin with: a folder to work in, the command under test, and a server that ends with the check.
# Sourced. AGENT names the command to test; otherwise it is built. Everything stays on 127.0.0.1.
set -u
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
server=

skip() {
  echo "SKIPPED: $*"
  exit 0
}

# begin: makes the folder "$work", which is gone at the end, and finds the command.
begin() {
  command -v python3 >/dev/null 2>&1 || skip "python3 is not installed"
  if [ -z "${AGENT:-}" ]; then
    cargo build --quiet -p agent-cli --manifest-path "$root/Cargo.toml" || exit 1
    AGENT=$(cargo metadata --no-deps --format-version 1 --manifest-path "$root/Cargo.toml" |
      sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug/agent
  fi
  work=$(mktemp -d)
  trap finish EXIT
}

finish() {
  [ -n "$server" ] && kill "$server" 2>/dev/null && wait "$server" 2>/dev/null
  rm -rf "$work"
}

# free_ports COUNT: ports of 127.0.0.1 that nobody listens on.
free_ports() {
  python3 -c '
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in held: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in held))' "$1"
}

# serve NAME URL SECONDS COMMAND...: starts a server and waits until the address answers.
serve() {
  local name=$1 url=$2 tries=$(($3 * 4))
  shift 3
  "$@" >"$work/server.log" 2>&1 &
  server=$!
  for _ in $(seq "$tries"); do
    python3 -c "import urllib.request as u; u.urlopen('$url', timeout=1)" 2>/dev/null && return
    kill -0 "$server" 2>/dev/null || break
    sleep 0.25
  done
  echo "FAILED: $name did not start"
  tail -20 "$work/server.log"
  exit 1
}
