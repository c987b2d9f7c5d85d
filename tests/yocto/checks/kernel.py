"""The kernel fragments: what they ask for is what a kernel does."""

import re
import subprocess
from pathlib import Path

from report import Skip

FILES = "meta-micrun/recipes-kernel/linux/files"
# For kernels since 6.17 alone.
NEW = "micrun-iptables.cfg"
# A kernel and a base: arm64's defconfig is near to linux-yocto's own, the mixed lane's begins with nothing.
BUILDS = (
    ("6.12", ["defconfig"]),
    ("6.12", ["-n", "tests/yocto/meta-micrun-mixed/recipes-kernel/linux/files/defconfig"]),
    ("newest", ["defconfig"]),
)


def symbols(root):
    """Debian's arm64 kernel, which the aarch64 stage has fetched, knows each symbol; each file is named."""
    configurations = sorted(root.glob(".cache/kernel/*/image/boot/config-*"))
    if not configurations:
        raise Skip("no kernel has been fetched; `make kernel` does")
    known = set(re.findall(r"^(?:# )?(CONFIG_\w+)(?:=| is not set)", configurations[-1].read_text(), re.MULTILINE))
    problems = []
    named = (root / FILES / "micrun.scc").read_text() + (root / FILES / "../linux-yocto-micrun.inc").read_text()
    for path in sorted((root / FILES).glob("*.cfg")):
        if path.name not in named:
            problems.append(f"neither micrun.scc nor the append names {path.name}")
        found = re.findall(r"^(CONFIG_\w+)=", path.read_text(), re.MULTILINE)
        problems += [f"{path.name}: {symbol} is there twice" for symbol in sorted(set(found)) if found.count(symbol) > 1]
        if path.name != NEW:
            problems += [f"{path.name}: {symbol} is no symbol of {configurations[-1].name}" for symbol in found if symbol not in known]
    return problems


def survive(root):
    """Every line of the fragments is in the .config that a kernel's own Kconfig makes of a base and them."""
    problems = []
    for series, base in BUILDS:
        fragments = [path for path in sorted((root / FILES).glob("*.cfg")) if series == "newest" or path.name != NEW]
        command = [root / "tests/yocto/lib/kconfig", series, *(root / word if "/" in word else word for word in base), *fragments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode and not (root / f".cache/kconfig/{series}/Makefile").exists():
            raise Skip(f"Debian's linux-source cannot be had: {done.stderr.strip()[-200:]}")
        if done.returncode:
            problems.append(f"Linux {series}, {base[-1]}: {done.stderr}")
            continue
        final = set(Path(done.stdout.strip()).read_text().splitlines())
        for path in fragments:
            asked = [line for line in path.read_text().splitlines() if line.startswith("CONFIG_")]
            problems += [f"{path.name}: {line} does not survive on Linux {series}, {base[-1]}" for line in asked if line not in final]
    return problems
