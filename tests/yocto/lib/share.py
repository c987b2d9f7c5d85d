#!/usr/bin/env python3
"""Which share of an image's packages recipes have built, and which share Debian's binaries stand in for.

usage: share.py MANIFEST PKGDATA [GOAL]

Counts packages, and the sizes of what they install. Fails where GOAL, in percent, is not reached by both."""

import sys
from pathlib import Path

# The section of every recipe that packs what Debian has built.
STAND_IN = "prebuilt"


def packages(manifest, pkgdata):
    """Name, recipe, section and size of each package."""
    for line in Path(manifest).read_text().splitlines():
        name = line.split()[0]
        facts = {}
        for fact in (Path(pkgdata) / "runtime-reverse" / name).read_text().splitlines():
            key, _, value = fact.partition(": ")
            facts[key.split(":")[0]] = value
        yield name, facts["PN"], facts.get("SECTION", ""), int(facts.get("PKGSIZE", 0))


def table(rows):
    """Recipes of both kinds with their packages and sizes, and the shares in percent."""
    totals = {True: [0, 0], False: [0, 0]}
    recipes = {}
    for _, recipe, section, size in rows:
        built = section != STAND_IN
        for sums in (totals[built], recipes.setdefault((built, recipe), [0, 0])):
            sums[0] += 1
            sums[1] += size
    lines = [
        f"{'built' if built else 'stands in':9} {recipe:32} {count:4} {size / 1e6:8.1f} MB"
        for (built, recipe), (count, size) in sorted(recipes.items(), key=lambda item: (not item[0][0], -item[1][1]))
    ]
    shares = [100 * totals[True][index] / ((totals[True][index] + totals[False][index]) or 1) for index in (0, 1)]
    return lines, shares


def main(manifest, pkgdata, goal="0"):
    lines, shares = table(packages(manifest, pkgdata))
    print("\n".join(lines))
    print(f"built from source: {shares[0]:.0f} % of the packages, {shares[1]:.0f} % of their size")
    return any(share < float(goal) for share in shares)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
