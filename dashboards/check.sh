#!/usr/bin/env bash
# Holds rules, configuration and dashboard queries against Prometheus' own tools.
#
#   dashboards/check.sh            checks what the installed tools can, and says what was skipped
#   dashboards/check.sh --strict   the same, but a skipped check is a failure
#
# Uses promtool, prometheus (a throw-away server on 127.0.0.1), jq, curl; for the compose file
# `docker compose`, which needs no engine for it, or else Python's yaml.
set -euo pipefail
cd "$(dirname "$0")"

strict=no
case "${1:-}" in
  '') ;;
  --strict) strict=yes ;;
  *) echo "usage: $0 [--strict]" >&2; exit 2 ;;
esac

skipped=0 failed=0 server='' work=$(mktemp -d)
stop() {
  if [[ -n $server ]]; then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=''
  fi
}
trap 'stop; rm -rf "$work"' EXIT

have() { command -v "$1" >/dev/null 2>&1; }
skip() { echo "SKIPPED $1: $2"; skipped=$((skipped + 1)); }
fail() { echo "FAILED  $*"; failed=$((failed + 1)); }
run() { # what, command…
  local what=$1
  shift
  if "$@" >"$work/out" 2>&1; then
    echo "ok      $what"
  else
    fail "$what"
    sed 's/^/        /' "$work/out"
  fi
}

# Every query of the dashboard, one a line, as Grafana would send it.
queries() {
  jq -r '.. | objects | .expr? // empty' grafana/agent-sdk.json
  # A variable's query is no PromQL, but the selector in it is.
  jq -r '.templating.list[] | .definition? // empty' grafana/agent-sdk.json |
    sed -E 's/^label_values\((.*), *[A-Za-z0-9_]+\)$/\1/'
}
substituted() {
  queries | sed -E -e 's/\$__rate_interval|\$__interval/1m/g' -e 's/\$__range/3h/g' -e 's/"\$[a-z]+"/".*"/g'
}

start_prometheus() {
  echo '{}' >"$work/prometheus.yml"
  local try port
  for try in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 12000))
    prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data$try" \
      --web.listen-address="127.0.0.1:$port" >"$work/log" 2>&1 &
    server=$!
    base=http://127.0.0.1:$port
    for _ in $(seq 100); do
      kill -0 "$server" 2>/dev/null || break
      if curl -fs "$base/-/ready" >/dev/null 2>&1 && kill -0 "$server" 2>/dev/null; then
        return 0
      fi
      sleep 0.1
    done
    stop
  done
  return 1
}

ask() { # endpoint, query
  curl -sS --max-time 10 "$base/api/v1/$1" --data-urlencode "query=$2" |
    jq -r 'if .status == "success" then "ok" else .error end'
}

check_queries() {
  local count=0 bad=0 query endpoint answer
  if ! start_prometheus; then
    fail "prometheus did not start"
    sed 's/^/        /' "$work/log"
    return
  fi
  while IFS= read -r query; do
    count=$((count + 1))
    if [[ $query == *'$'* ]]; then
      bad=$((bad + 1))
      fail "a variable this script does not know: $query"
      continue
    fi
    # The first parses; the second also evaluates, on no data at all.
    for endpoint in format_query query; do
      answer=$(ask "$endpoint" "$query") || answer="no answer"
      if [[ $answer != ok ]]; then
        bad=$((bad + 1))
        fail "$query"
        echo "        $answer"
        break
      fi
    done
  done < <(substituted)
  stop
  if ((count == 0)); then
    fail "the dashboard has no query"
  elif ((bad == 0)); then
    echo "ok      $count dashboard queries, parsed and evaluated by prometheus"
  fi
}

if have promtool; then
  run "promtool check rules" promtool check rules prometheus/rules/agent-sdk.rules.yml
  run "promtool test rules" promtool test rules prometheus/rules/agent-sdk.test.yml
  run "promtool check config" promtool check config prometheus/prometheus.yml
else
  skip "rules, their tests and the scrape configuration" "promtool is not installed"
fi

if ! have jq; then
  skip "dashboard queries" "jq is not installed"
elif ! jq empty grafana/agent-sdk.json 2>"$work/out"; then
  fail "grafana/agent-sdk.json is not JSON: $(cat "$work/out")"
elif ! have prometheus || ! have curl; then
  skip "dashboard queries" "prometheus or curl is not installed"
else
  check_queries
fi

if docker compose version >/dev/null 2>&1; then
  run "docker compose config" docker compose --file compose.yaml config --quiet
elif python3 -c 'import yaml' >/dev/null 2>&1; then
  run "compose file and provisioning are YAML" python3 -c '
import sys, yaml
for path in sys.argv[1:]:
    assert isinstance(yaml.safe_load(open(path)), dict), path
' compose.yaml grafana/provisioning/*/*.yml
  skip "the compose file against its schema" "docker compose is not installed"
else
  skip "the compose file" "neither docker compose nor Python with yaml is installed"
fi

echo "$failed failed, $skipped skipped"
((failed == 0)) || exit 1
[[ $strict == no ]] || ((skipped == 0)) || exit 1
