#!/usr/bin/env bash
# Shows the demo's trace to Arize Phoenix, and asks its REST API what it made of it: LLM, AGENT and TOOL spans with the tokens recorded.
#
# Needs `arize-phoenix` from PyPI: a `phoenix` named by PHOENIX, or else one that this installs under target/. Without it the check says
# SKIPPED and passes.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../server.sh"
phoenix=${PHOENIX:-$root/target/phoenix/bin/phoenix}
if [ ! -x "$phoenix" ] && [ -z "${PHOENIX:-}" ]; then
  python3 -m venv "$root/target/phoenix" >/dev/null 2>&1 &&
    "$root/target/phoenix/bin/pip" install --quiet arize-phoenix >/dev/null 2>&1
fi
[ -x "$phoenix" ] || skip "arize-phoenix cannot be installed here (or name its command in PHOENIX)"
begin

read -r port grpc < <(free_ports 2)
mkdir "$work/review"
cp "$root"/examples/examples/*.rs "$work/review/"
serve Phoenix "http://127.0.0.1:$port/healthz" 120 \
  env PHOENIX_HOST=127.0.0.1 PHOENIX_PORT="$port" PHOENIX_GRPC_PORT="$grpc" PHOENIX_WORKING_DIR="$work" \
  PHOENIX_TELEMETRY_ENABLED=false PHOENIX_ALLOW_EXTERNAL_RESOURCES=false "$phoenix" serve

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
