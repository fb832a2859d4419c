#!/usr/bin/env python3
"""Makes `prices.json`, the price table that the crate embeds, from a full price snapshot.

Usage: trim-prices.py SNAPSHOT.json > prices.json

The snapshot lists models with `provider_id`, `match`, `prices` and `variants`, and providers with `provider_match` and
`fallback_model_providers`. What the calculator never reads (names, comments, cross-checks, page addresses, rates for
things that a usage does not count) is left out. The order of the snapshot is kept, because the first match wins.

What is changed on the way, and why:
- The look-ahead `^(?!.*-tts(?:$|-))` becomes `{"not": ...}`: the regex engine has linear time and no look-ahead.
- `\\d` becomes `[0-9]`: names are ASCII, and the smaller class compiles to a smaller program.
- `per_1k_web_searches` is kept as the source lists it: what a search of the provider's own costs. Where a model has no such
  rate, the cost of an answer with searches is unknown; nothing is assumed from other models.
- A model whose id ends in `:free` and that has no rate at all gets explicit zero rates. Any other model without a rate
  stays without one, and so its price is unknown.
"""

import json
import sys

# Every rate that can be computed from a usage.
RATES = [
    "input",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "input_audio",
    "cache_audio_read",
    "output",
    "output_audio",
    "reasoning",
    "per_1k_requests",
    "per_1k_web_searches",
]
NOT_TTS = "^(?!.*-[tT][tT][sS](?:$|-))"


def clause(match):
    """One match rule, without look-ahead."""
    ((kind, value),) = match.items()
    if isinstance(value, list):
        return {kind: [clause(part) for part in value]}
    if kind != "regex":
        return {kind: value}
    if value == NOT_TTS:
        return {"not": {"any": [{"suffix": "-tts"}, {"contains": "-tts-"}]}}
    if "(?" in value.replace("(?:", ""):
        sys.exit(f"look-around in {value!r}: write it as a `not` rule here")
    return {kind: value.replace("\\d", "[0-9]")}


def clock(text):
    """`01:00:00+00:00` as `01:00:00`; other offsets are refused."""
    if not text.endswith("+00:00"):
        sys.exit(f"not a UTC time of day: {text!r}")
    return text.removesuffix("+00:00")


def price(entry):
    """The conditions and the rates of one entry of `prices` or `variants`."""
    kept = {key: entry[key] for key in ("when", "valid_from") if key in entry}
    if "time_of_day_utc" in entry:
        kept["time_of_day_utc"] = {
            edge: clock(entry["time_of_day_utc"][edge]) for edge in ("start", "end")
        }
    kept.update({rate: entry[rate] for rate in RATES if rate in entry})
    return kept


def model(entry):
    """One model: its id, its match rule, its prices."""
    prices = [price(p) for p in entry["prices"]]
    if entry["model_id"].endswith(":free") and entry["prices"] == [{}]:
        prices = [{"input": "0", "output": "0"}]
    kept = {"id": entry["model_id"], "match": clause(entry["match"]), "prices": prices}
    variants = [price(v) for v in entry.get("variants", [])]
    if variants:
        kept["variants"] = variants
    return kept


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        snapshot = json.load(file)
    source = next(s for s in snapshot["sources"] if s["role"] == "primary")
    compact = {"ensure_ascii": False, "separators": (",", ":")}
    head = {
        "date": snapshot["generated"],
        "source": {key: source[key] for key in ("name", "version", "licence", "url")},
        "unit": "USD per 1,000,000 tokens; per_1k_requests: USD per 1,000 requests; "
        "per_1k_web_searches: USD per 1,000 searches that the provider makes for an answer",
    }
    out = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    providers = []
    for entry in snapshot["providers"]:
        kept = {"id": entry["id"]}
        if entry["provider_match"]:
            kept["match"] = clause(entry["provider_match"])
        if entry["fallback_model_providers"]:
            kept["fallback"] = entry["fallback_model_providers"]
        models = [m for m in snapshot["models"] if m["provider_id"] == entry["id"]]
        lines = ",\n".join(json.dumps(model(m), **compact) for m in models)
        fields = json.dumps(kept, **compact).removesuffix("}")
        providers.append(f'{fields},"models":[\n{lines}\n]}}')
    # One model in a line: a new price is a one-line difference.
    out.append('"providers": [\n' + ",\n".join(providers) + "\n]")
    print("{\n" + ",\n".join(out) + "\n}")


main()
