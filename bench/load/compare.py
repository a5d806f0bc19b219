"""
Two result files side by side: ``python -m bench.load.compare BEFORE.json AFTER.json``.

For each server in each case: what counts, before and after, and its ratio to the
reference of the case. The last column says which way a ratio went if the spreads do not
meet: figures of different runs cannot be compared, ratios within a run can.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

Document = dict[str, Any]


def _rows(document: Document) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (entry["case"]["name"], row["name"]): row
        for entry in document["cases"]
        for row in entry["rows"]
    }


def _verdict(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Say which way the ratios went, if their spreads do not meet."""
    if not before["ratio_spread"] or not after["ratio_spread"]:
        return ""
    if after["ratio_spread"][0] > before["ratio_spread"][1]:
        return "higher"
    if after["ratio_spread"][1] < before["ratio_spread"][0]:
        return "lower"
    return ""


def _ratio(row: dict[str, Any]) -> str:
    return "" if row["ratio"] is None else f"{row['ratio']:.2f}"


def compare(before: Document, after: Document) -> str:
    """Return a table in Markdown: what is in both, and which facts differ."""
    lines = [
        f"- {key}: {before['facts'].get(key, 'none')}, then {fact}"
        for key, fact in after["facts"].items()
        if fact != before["facts"].get(key)
    ]
    lines += [
        "",
        "| case | server | before | after | change | ratio before | after | |",
    ]
    lines.append("| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |")
    earlier = _rows(before)
    for key, row in _rows(after).items():
        was = earlier.get(key)
        if was is None:
            continue
        change = row["value"] / was["value"] - 1 if was["value"] else 0.0
        cells = [*key, f"{was['value']:.4g}", f"{row['value']:.4g}", f"{change:+.1%}"]
        cells += [_ratio(was), _ratio(row), _verdict(was, row)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines).lstrip("\n") + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.load.compare", description=__doc__
    )
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    args = parser.parse_args()
    documents = [json.loads(p.read_text()) for p in (args.before, args.after)]
    print(compare(*documents), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
