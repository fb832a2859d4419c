"""Holds what Phoenix shows of the demo's trace against what the demo said of itself.

usage: check.py PHOENIX-URL DEMO-OUTPUT
"""

import json
import re
import sys
import time
import urllib.request


def spans(base, trace):
    """All spans of a trace, page by page."""
    found, cursor = [], ""
    while cursor is not None:
        url = f"{base}/v1/projects/default/spans?limit=100" + (f"&cursor={cursor}" if cursor else "")
        with urllib.request.urlopen(url, timeout=10) as reply:
            page = json.load(reply)
        found += [span for span in page["data"] if span["context"]["trace_id"] == trace]
        cursor = page.get("next_cursor")
    return found


def number(pattern, text):
    return int(re.search(pattern, text).group(1).replace(",", ""))


def main(base, path):
    with open(path, encoding="utf-8") as file:
        said = file.read()
    trace = re.search(r"Trace:\s+([0-9a-f]{32})", said).group(1)
    model_calls = number(r"([\d,]+) model calls", said)
    tool_calls = number(r"([\d,]+) tool calls", said)
    tokens = (number(r"([\d,]+) tokens in", said), number(r"tokens in, ([\d,]+) out", said))

    # It takes spans over in the background.
    for _ in range(60):
        shown = spans(base, trace)
        kinds = {kind: [s for s in shown if s["span_kind"] == kind] for kind in ("LLM", "AGENT", "TOOL")}
        if len(kinds["LLM"]) >= model_calls and any(s["parent_id"] is None for s in shown):
            break
        time.sleep(0.5)

    counted = tuple(
        sum(span["attributes"].get(f"llm.token_count.{name}", 0) for span in kinds["LLM"])
        for name in ("prompt", "completion")
    )
    elsewhere = [s["name"] for s in shown if s["span_kind"] != "LLM" and "llm.token_count.prompt" in s["attributes"]]
    ids = {span["context"]["span_id"] for span in shown}
    checks = [
        ("every model call is an LLM span", len(kinds["LLM"]), model_calls),
        ("every tool call is a TOOL span", len(kinds["TOOL"]), tool_calls),
        ("there are AGENT spans", len(kinds["AGENT"]) > 0, True),
        ("tokens in and out are those recorded", counted, tokens),
        ("no other span counts tokens again", elsewhere, []),
        ("one root", sum(span["parent_id"] is None for span in shown), 1),
        ("every parent is there", [s["name"] for s in shown if s["parent_id"] and s["parent_id"] not in ids], []),
        ("every chat has a model", all(s["attributes"].get("llm.model_name") or s["attributes"].get("gen_ai.request.model") for s in kinds["LLM"]), True),
    ]
    failed = 0
    for what, found, expected in checks:
        good = found == expected
        failed += not good
        print(f"{what}: {found}" + ("" if good else f", FAILED: expected {expected}"))
    return failed


if __name__ == "__main__":
    sys.exit(1 if main(*sys.argv[1:]) else 0)
