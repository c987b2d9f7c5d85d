"""Copies kernel modules and what they depend on into a root, uncompressed, and writes their modules.dep.

usage: modules.py KERNEL_DIR ROOT NAME...   prints the modules' paths below ROOT, in an order in which they can be loaded

KERNEL_DIR holds `version`, `modules/VERSION/` (a Debian package's tree) and `extra/*.ko`. Dependencies are read from
the modules themselves, so neither depmod nor a modules.dep is needed.
"""

import lzma
import re
import sys
from pathlib import Path


def canonical(name: str) -> str:
    """The name by which the kernel knows a module: file names may have dashes."""
    return name.replace("-", "_")


class Kernel:
    """The modules of one kernel, read when they are asked for."""

    def __init__(self, directory: Path):
        self.version = (directory / "version").read_text().strip()
        self.tree = directory / "modules" / self.version
        self.extra = sorted((directory / "extra").glob("*.ko"))
        self.files = {canonical(p.name.split(".ko")[0]): p for p in self.tree.rglob("*.ko*")}
        self.files |= {canonical(p.stem): p for p in self.extra}
        builtin = self.tree / "modules.builtin"
        self.builtin = {canonical(Path(line).stem) for line in builtin.read_text().split()}

    def read(self, name: str) -> bytes:
        path = self.files[name]
        data = path.read_bytes()
        return lzma.decompress(data) if path.suffix == ".xz" else data

    def destination(self, name: str) -> str:
        """Where the module goes, relative to lib/modules/VERSION."""
        path = self.files[name]
        if path in self.extra:
            return f"extra/{path.name}"
        return str(path.relative_to(self.tree)).removesuffix(".xz")


def dependencies(module: bytes) -> list[str]:
    """What the module says in its .modinfo section."""
    found = re.search(rb"\0depends=([^\0]*)\0", module)
    names = found.group(1).decode() if found else ""
    return [canonical(name) for name in names.split(",") if name]


def main() -> None:
    kernel = Kernel(Path(sys.argv[1]))
    root = Path(sys.argv[2]) / "usr/lib/modules" / kernel.version
    order: dict[str, list[str]] = {}

    def add(name: str, wanted_by: str) -> None:
        if name in order or name in kernel.builtin:
            return
        if name not in kernel.files:
            sys.exit(f"modules.py: kernel {kernel.version} has no module {name}, which {wanted_by} needs")
        data = kernel.read(name)
        needed = dependencies(data)
        for other in needed:
            add(other, name)
        # In modules.dep a module's dependencies come in the order in which they are unloaded.
        order[name] = [d for other in reversed(needed) if other in order for d in (other, *order[other])]
        target = root / kernel.destination(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    for name in sys.argv[3:]:
        add(canonical(name), "the list of modules")
    lines = [
        f"{kernel.destination(name)}: {' '.join(map(kernel.destination, dict.fromkeys(needed)))}".rstrip()
        for name, needed in order.items()
    ]
    root.mkdir(parents=True, exist_ok=True)
    (root / "modules.dep").write_text("".join(f"{line}\n" for line in lines))
    for name in order:
        print(f"usr/lib/modules/{kernel.version}/{kernel.destination(name)}")


if __name__ == "__main__":
    main()
