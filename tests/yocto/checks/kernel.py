"""The kernel fragments: every symbol is one of a kernel that there is."""

import re

from report import Skip

FRAGMENTS = "meta-micrun/recipes-kernel/linux/files"


def symbols(root):
    """Debian's arm64 kernel, which the aarch64 stage has fetched, knows each symbol; micrun.scc names each file."""
    configurations = sorted(root.glob(".cache/kernel/*/image/boot/config-*"))
    if not configurations:
        raise Skip("no kernel has been fetched; `make kernel` does")
    known = set(re.findall(r"^(?:# )?(CONFIG_\w+)(?:=| is not set)", configurations[-1].read_text(), re.MULTILINE))
    problems = []
    named = (root / FRAGMENTS / "micrun.scc").read_text()
    for path in sorted((root / FRAGMENTS).glob("*.cfg")):
        if path.name not in named:
            problems.append(f"micrun.scc does not name {path.name}")
        found = re.findall(r"^(CONFIG_\w+)=", path.read_text(), re.MULTILINE)
        problems += [f"{path.name}: {symbol} is no symbol of {configurations[-1].name}" for symbol in found if symbol not in known]
        problems += [f"{path.name}: {symbol} is there twice" for symbol in sorted(set(found)) if found.count(symbol) > 1]
    return problems
