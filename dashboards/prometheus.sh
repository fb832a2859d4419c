#!/usr/bin/env bash
# Lets a real Prometheus scrape a program of ours, as OpenMetrics, and asks it for what it stored.
#
#   dashboards/prometheus.sh             with `agent demo`, from target/release or target/debug
#   dashboards/prometheus.sh PROGRAM…    with another that prints `Metrics: http://…/metrics` and stays
#
# It holds that the classic page passes `promtool check metrics` in silence, that the target is up, that
# `query_exemplars` returns trace ids of the program's page, and that the rules load and evaluate. Everything is on
# 127.0.0.1, on ports that are free, and ends with the script. Uses prometheus, promtool, curl and jq; where one is
# not installed it says so and passes.
set -euo pipefail
cd "$(dirname "$0")"

for tool in prometheus promtool curl jq; do
  if ! command -v "$tool" >/dev/null 2>&1; then
    echo "SKIPPED a real Prometheus: $tool is not installed"
    exit 0
  fi
done

if (($# == 0)); then
  for agent in ../target/release/agent ../target/debug/agent; do
    if [[ -x $agent ]]; then
      set -- "$agent" demo --workspace . --metrics 127.0.0.1:0
      break
    fi
  done
fi
if (($# == 0)); then
  echo "FAILED  there is no agent to scrape: cargo build -p agent-cli" >&2
  exit 1
fi

work=$(mktemp -d) program='' server=''
stop() {
  for process in $server $program; do
    kill -INT "$process" 2>/dev/null || true
    wait "$process" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap stop EXIT
fail() {
  echo "FAILED  $1"
  [[ -z ${2:-} ]] || sed 's/^/        /' "$2" | tail -20
  exit 1
}
# Tries a command ten times a second, for half a minute.
within() {
  for _ in $(seq 300); do
    if "$@"; then return 0; fi
    sleep 0.1
  done
  return 1
}

"$@" >"$work/program" 2>&1 &
program=$!
has_page() { grep -q '^Metrics: http' "$work/program"; }
within has_page || fail "the program serves no metrics" "$work/program"
url=$(grep -o 'http://127.0.0.1:[0-9]*/metrics' "$work/program" | tail -1)

curl -fsS "$url" >"$work/classic"
promtool check metrics <"$work/classic" >"$work/out" 2>&1 || fail "promtool check metrics" "$work/out"
[[ ! -s $work/out ]] || fail "promtool check metrics has something to say" "$work/out"
echo "ok      promtool check metrics, in silence"

cat >"$work/prometheus.yml" <<YAML
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: ["$PWD/prometheus/rules/agent-sdk.rules.yml"]
scrape_configs:
  - job_name: agent-sdk
    static_configs: [{ targets: ["${url:7:-8}"] }]
YAML
ready() { curl -fs "$base/-/ready" >/dev/null 2>&1 && kill -0 "$server" 2>/dev/null; }
for try in 1 2 3 4 5; do
  port=$((20000 + RANDOM % 12000))
  base=http://127.0.0.1:$port
  prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data$try" \
    --enable-feature=exemplar-storage --web.listen-address="127.0.0.1:$port" >"$work/log" 2>&1 &
  server=$!
  if within ready; then break; fi
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  server=''
done
[[ -n $server ]] || fail "prometheus did not start" "$work/log"

ask() { curl -fsS --max-time 10 --get "$base/api/v1/$1" "${@:2}"; }
is_up() { ask query --data-urlencode 'query=up{job="agent-sdk"} == 1' | jq -e '.data.result | length == 1' >/dev/null; }
within is_up || fail "the target is not up: $(ask targets | jq -r '.data.activeTargets[].lastError')"
echo "ok      the target is up"

has_exemplars() {
  ask query_exemplars --data-urlencode 'query={__name__=~"gen_ai_.*_bucket"}' \
    --data-urlencode "start=$(($(date +%s) - 3600))" --data-urlencode "end=$(($(date +%s) + 60))" >"$work/exemplars"
  jq -e '[.data[].exemplars[]] | length > 0' "$work/exemplars" >/dev/null
}
within has_exemplars || fail "query_exemplars returns nothing" "$work/exemplars"
curl -fsS -H 'Accept: application/openmetrics-text; version=1.0.0' "$url" >"$work/open"
grep -o 'trace_id="[0-9a-f]*"' "$work/open" | cut -d'"' -f2 | sort -u >"$work/ours"
jq -r '.data[].exemplars[].labels.trace_id' "$work/exemplars" | sort -u >"$work/theirs"
[[ -z $(comm -13 "$work/ours" "$work/theirs") ]] || fail "a trace id that is not on the page" "$work/theirs"
stored=$(jq '[.data[].exemplars[]] | length' "$work/exemplars")
families=$(jq '[.data[].seriesLabels.__name__] | unique | length' "$work/exemplars")
echo "ok      $stored exemplars of $families histograms, of $(wc -l <"$work/theirs") traces, all of them ours"

rules_ran() { ask rules | jq -e '[.data.groups[].rules[]] | length > 0 and all(.health == "ok")' >/dev/null; }
within rules_ran || fail "a rule did not load or evaluate: $(ask rules | jq -c '[.data.groups[].rules[] | select(.health != "ok")]')"
echo "ok      $(ask rules | jq '[.data.groups[].rules[]] | length') rules loaded and evaluated"
