#!/usr/bin/env bash
# Asks a real OpenAI-compatible gateway, LiteLLM's, with the `agent` command: an answer, streamed and as JSON, and its failures.
#
# Needs `litellm[proxy]` from PyPI: on the PATH, or named by LITELLM. Without it the check says SKIPPED and passes.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../server.sh"
litellm=${LITELLM:-$(command -v litellm || true)}
[ -n "$litellm" ] && [ -x "$litellm" ] || skip "litellm is not installed (pip install 'litellm[proxy]', or set LITELLM)"
begin

port=$(free_ports 1)
key=sk-gateway-0123456789abcdefgh
serve "the gateway" "http://127.0.0.1:$port/health/liveliness" 60 \
  env LITELLM_MASTER_KEY=$key LITELLM_TELEMETRY=False LITELLM_LOCAL_MODEL_COST_MAP=True \
  "$litellm" --config "$here/config.yaml" --host 127.0.0.1 --port "$port"

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
