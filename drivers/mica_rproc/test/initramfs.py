#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Writes an initramfs: initramfs.py OUT PATH=FILE... puts each FILE at PATH. Files with the suffix .xz are unpacked.

PATH/ without a file makes a directory. Files keep their mode. The owner is root and the time is 0.
"""

import lzma
import stat
import sys
from pathlib import Path


def record(number: int, name: str, mode: int, data: bytes) -> bytes:
    """One entry of the "newc" format."""
    encoded = name.encode() + b"\0"
    fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0]
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def entry(number: int, argument: str) -> bytes:
    name, _, source = argument.partition("=")
    if name.endswith("/"):
        return record(number, name.rstrip("/"), stat.S_IFDIR | 0o755, b"")
    path = Path(source)
    data = path.read_bytes()
    if path.suffix == ".xz":
        data = lzma.decompress(data)
    return record(number, name, stat.S_IFREG | stat.S_IMODE(path.stat().st_mode), data)


def main() -> None:
    out, *arguments = sys.argv[1:]
    with open(out, "wb") as archive:
        for number, argument in enumerate(arguments, 1):
            archive.write(entry(number, argument))
        archive.write(record(0, "TRAILER!!!", 0, b""))


main()
