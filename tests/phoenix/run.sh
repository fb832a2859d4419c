#!/usr/bin/env bash
# Shows the demo's trace to Arize Phoenix, and asks its REST API what it made of it: LLM, AGENT and TOOL spans with the tokens recorded.
#
# Needs `arize-phoenix` from PyPI: a `phoenix` named by PHOENIX, or else one that this installs under target/. Without it the check says
# SKIPPED and passes. AGENT names the command to test; otherwise it is built. Everything stays on 127.0.0.1.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
if ! command -v python3 >/dev/null 2>&1; then
  echo "SKIPPED: python3 is not installed"
  exit 0
fi
phoenix=${PHOENIX:-$root/target/phoenix/bin/phoenix}
if [ ! -x "$phoenix" ] && [ -z "${PHOENIX:-}" ]; then
  python3 -m venv "$root/target/phoenix" >/dev/null 2>&1 &&
    "$root/target/phoenix/bin/pip" install --quiet arize-phoenix >/dev/null 2>&1
fi
if [ ! -x "$phoenix" ]; then
  echo "SKIPPED: arize-phoenix cannot be installed here (or name its command in PHOENIX)"
  exit 0
fi
if [ -z "${AGENT:-}" ]; then
  cargo build --quiet -p agent-cli --manifest-path "$root/Cargo.toml" || exit 1
  AGENT=$(cargo metadata --no-deps --format-version 1 --manifest-path "$root/Cargo.toml" |
    sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug/agent
fi

work=$(mktemp -d)
server=
finish() {
  [ -n "$server" ] && kill "$server" 2>/dev/null && wait "$server" 2>/dev/null
  rm -rf "$work"
}
trap finish EXIT

read -r port grpc < <(python3 -c '
import socket
held = [socket.socket(), socket.socket()]
for s in held: s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in held))')
mkdir "$work/review"
cp "$root"/examples/examples/*.rs "$work/review/"
PHOENIX_HOST=127.0.0.1 PHOENIX_PORT=$port PHOENIX_GRPC_PORT=$grpc PHOENIX_WORKING_DIR="$work" \
  PHOENIX_TELEMETRY_ENABLED=false PHOENIX_ALLOW_EXTERNAL_RESOURCES=false \
  "$phoenix" serve >"$work/phoenix.log" 2>&1 &
server=$!
ready=
for _ in $(seq 480); do
  if python3 -c "import urllib.request as u; u.urlopen('http://127.0.0.1:$port/healthz', timeout=1)" 2>/dev/null; then
    ready=yes
    break
  fi
  kill -0 "$server" 2>/dev/null || break
  sleep 0.25
done
if [ -z "$ready" ]; then
  echo "FAILED: Phoenix did not start"
  tail -20 "$work/phoenix.log"
  exit 1
fi

env -i PATH="$PATH" HOME="$work" OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:$port" OTEL_METRICS_EXPORTER=none \
  "$AGENT" demo --workspace "$work/review" >"$work/demo.txt" 2>&1 || {
  echo "FAILED: the demo failed"
  tail -20 "$work/demo.txt"
  exit 1
}
if python3 "$here/check.py" "http://127.0.0.1:$port" "$work/demo.txt"; then
  echo "PASSED"
else
  echo "FAILED"
  tail -20 "$work/demo.txt"
  exit 1
fi
