#!/usr/bin/env python3
"""Connections stay in the balancer's own rack as long as somebody there has room for them.

A backend of another rack gets a tenth of its weight; once the racks of one's own have more than
twice as many connections a backend as the others, all racks are alike.

    [policies.rack-aware]
    run = "./rack_aware.py rack1"
"""

import json
import sys

OWN = sys.argv[1] if len(sys.argv) > 1 else "rack1"


def average(backends):
    """Connections a backend, 0 where there is none."""
    counts = [backend.get("connections", 0) for backend in backends]
    return sum(counts) / len(counts) if counts else 0


def decide(backends):
    here = [one for one in backends if one.get("labels", {}).get("zone") == OWN]
    away = [one for one in backends if one not in here]
    crowded = average(here) > 2 * average(away) + 10
    weights = {one["id"]: one["weight"] for one in here}
    for one in away:
        weights[one["id"]] = one["weight"] if crowded else max(1, one["weight"] // 10)
    return weights


for line in sys.stdin:
    question = json.loads(line)
    able = [one for one in question["backends"] if one["healthy"] and not one["draining"]]
    # One line, flushed: hostd reads it now, not when a buffer is full.
    print(json.dumps({"id": question["id"], "weights": decide(able)}), flush=True)
