#!/usr/bin/env bash
# Asks a real OpenAI-compatible gateway, LiteLLM's, with the `agent` command: an answer, streamed and as JSON, and its failures.
#
# Needs `litellm[proxy]` from PyPI: on the PATH, or named by LITELLM. Without it the check says SKIPPED and passes.
# AGENT names the command to test; otherwise it is built. Everything stays on 127.0.0.1.
set -u
here=$(cd "$(dirname "$0")" && pwd)
litellm=${LITELLM:-$(command -v litellm || true)}
if [ -z "$litellm" ] || [ ! -x "$litellm" ]; then
  echo "SKIPPED: litellm is not installed (pip install 'litellm[proxy]', or set LITELLM)"
  exit 0
fi
if [ -z "${AGENT:-}" ]; then
  cargo build --quiet -p agent-cli --manifest-path "$here/../../Cargo.toml" || exit 1
  AGENT=$(cargo metadata --no-deps --format-version 1 --manifest-path "$here/../../Cargo.toml" |
    sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug/agent
fi

work=$(mktemp -d)
gateway=
finish() {
  [ -n "$gateway" ] && kill "$gateway" 2>/dev/null && wait "$gateway" 2>/dev/null
  rm -rf "$work"
}
trap finish EXIT

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
key=sk-gateway-0123456789abcdefgh
LITELLM_MASTER_KEY=$key LITELLM_TELEMETRY=False LITELLM_LOCAL_MODEL_COST_MAP=True \
  "$litellm" --config "$here/config.yaml" --host 127.0.0.1 --port "$port" >"$work/gateway.log" 2>&1 &
gateway=$!
ready=
for _ in $(seq 240); do
  if python3 -c "import urllib.request as u; u.urlopen('http://127.0.0.1:$port/health/liveliness', timeout=1)" 2>/dev/null; then
    ready=yes
    break
  fi
  kill -0 "$gateway" 2>/dev/null || break
  sleep 0.25
done
if [ -z "$ready" ]; then
  echo "FAILED: the gateway did not start"
  tail -20 "$work/gateway.log"
  exit 1
fi

failures=0
# check NAME KEY EXIT PATTERN FLAGS...: runs the command on a model; the pattern must be in its output.
check() {
  local model=$1 with=$2 expected=$3 pattern=$4
  shift 4
  env -i PATH="$PATH" HOME="$work" OPENAI_API_KEY="$with" "$AGENT" run "Say hello." \
    --model "openai:$model" --base-url "http://127.0.0.1:$port/v1" "$@" >"$work/out" 2>"$work/err"
  local code=$? verdict=ok
  [ "$code" = "$expected" ] || verdict="FAILED: exit $code, not $expected"
  cat "$work/out" "$work/err" | grep -Eq -- "$pattern" || verdict="FAILED: no \"$pattern\""
  grep -q "$with" "$work/out" "$work/err" && verdict="FAILED: the key is in the output"
  echo "$model $* -> exit $code: $verdict"
  if [ "$verdict" != ok ]; then
    failures=$((failures + 1))
    tail -5 "$work/out"
  fi
  [ -s "$work/err" ] && sed 's/^/    /' "$work/err"
  return 0
}

check answer "$key" 0 'The gateway says hello'
check answer "$key" 0 '"type":"run_report".*"outcome":"ok"' --json
# Without a database the gateway says 400 of a key that it does not know.
check answer sk-wrong-0123456789abcdefg 1 'status 40[01]'
check answer "$key" 0 'The gateway says hello' --no-stream
check rate-limited "$key" 1 'rate_limited, status 429' --no-stream
check broken "$key" 1 'overloaded, status 500' --no-stream
check late "$key" 1 'timeout, status 408' --no-stream
check rate-limited "$key" 1 'rate_limited, status 429'
check rate-limited "$key" 1 '"error":"rate_limited"' --json
check broken "$key" 1 'overloaded, status 500'
check too-long "$key" 1 'status 400'
check late "$key" 1 'timeout, status 408'
check no-such-model "$key" 1 'status 400|status 404'
if [ "$failures" -gt 0 ]; then
  echo "FAILED: $failures checks"
  exit 1
fi
echo "PASSED"
