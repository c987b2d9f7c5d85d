#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes hostile firmware: hostile.py GOOD.elf DIRECTORY makes one file per way in which an ELF file may lie."""

import struct
import sys
from pathlib import Path

EHDR = {"class": (4, "B"), "data": (5, "B"), "type": (16, "H"), "machine": (18, "H"), "entry": (24, "Q"),
        "phoff": (32, "Q"), "shoff": (40, "Q"), "phentsize": (54, "H"), "phnum": (56, "H"),
        "shentsize": (58, "H"), "shnum": (60, "H"), "shstrndx": (62, "H")}
PHDR = {"type": (0, "I"), "flags": (4, "I"), "offset": (8, "Q"), "paddr": (24, "Q"), "filesz": (32, "Q"),
        "memsz": (40, "Q")}
SHDR = {"name": (0, "I"), "type": (4, "I"), "addr": (16, "Q"), "offset": (24, "Q"), "size": (32, "Q")}
# Offsets in the resource table of the echo firmware.
VDEV = 24
VRING0 = VDEV + 28
TRACE = VRING0 + 2 * 20
TABLE = {"version": 0, "num": 4, "reserved0": 8, "reserved1": 12, "offset0": 16, "offset1": 20,
         "vdev.type": VDEV, "vdev.id": VDEV + 4, "vdev.config_len": VDEV + 20, "vring.align": VRING0 + 4,
         "vring.num": VRING0 + 8, "trace.type": TRACE, "trace.da": TRACE + 4, "trace.len": TRACE + 8}
TABLE_VRINGS = VDEV + 25
LINUX_RAM = 0x40200000
HUGE = 0xFFFFFFFFFFFFFF00


class Elf:
    """A copy of the good file whose fields can be overwritten by name."""

    def __init__(self, good: bytes):
        self.data = bytearray(good)

    def get(self, base: int, field: tuple[int, str]) -> int:
        return struct.unpack_from("<" + field[1], self.data, base + field[0])[0]

    def put(self, base: int, field: tuple[int, str], value: int) -> None:
        struct.pack_into("<" + field[1], self.data, base + field[0], value)

    def header(self, name: str, value: int) -> None:
        self.put(0, EHDR[name], value)

    def segment(self, index: int, name: str, value: int) -> None:
        self.put(self.get(0, EHDR["phoff"]) + 56 * index, PHDR[name], value)

    def section_at(self, index: int) -> int:
        return self.get(0, EHDR["shoff"]) + 64 * index

    def table_section(self) -> int:
        names = self.get(self.section_at(self.get(0, EHDR["shstrndx"])), SHDR["offset"])
        for index in range(self.get(0, EHDR["shnum"])):
            start = names + self.get(self.section_at(index), SHDR["name"])
            if self.data[start:].startswith(b".resource_table\0"):
                return self.section_at(index)
        raise ValueError("the good file has no .resource_table")

    def section(self, name: str, value: int) -> None:
        self.put(self.table_section(), SHDR[name], value)

    def names(self, name: str, value: int) -> None:
        self.put(self.section_at(self.get(0, EHDR["shstrndx"])), SHDR[name], value)

    def table(self, name: str, value: int) -> None:
        base = self.get(self.table_section(), SHDR["offset"])
        self.put(base + TABLE[name], (0, "I"), value)

    def vrings(self, value: int) -> None:
        base = self.get(self.table_section(), SHDR["offset"])
        self.put(base + TABLE_VRINGS, (0, "B"), value)


CHANGES = {
    "class-32": ("header", "class", 1), "big-endian": ("header", "data", 2), "x86": ("header", "machine", 62),
    "shared-object": ("header", "type", 3), "entry-outside": ("header", "entry", LINUX_RAM),
    "entry-odd": ("header", "entry", 0x7A000002), "phoff-huge": ("header", "phoff", HUGE),
    "phentsize": ("header", "phentsize", 1), "phnum-none": ("header", "phnum", 0),
    "phnum-huge": ("header", "phnum", 0xFFFF), "shoff-huge": ("header", "shoff", HUGE),
    "shnum-huge": ("header", "shnum", 0xFFFF), "shnum-none": ("header", "shnum", 0),
    "shstrndx-huge": ("header", "shstrndx", 0xFFFE), "shstrndx-next": ("header", "shstrndx", 19),
    "segment-over-linux": ("segment", 0, "paddr", LINUX_RAM),
    "segment-below": ("segment", 0, "paddr", 0x79FFF000), "segment-wraps": ("segment", 0, "paddr", HUGE),
    "segment-alias": ("segment", 0, "paddr", 0x17A000000), "memsz-huge": ("segment", 2, "memsz", HUGE),
    "memsz-beyond": ("segment", 2, "memsz", 0x1000000), "filesz-over-memsz": ("segment", 2, "filesz", 0x10000),
    "offset-huge": ("segment", 0, "offset", HUGE), "offset-beyond": ("segment", 0, "offset", 0x10000000),
    "not-executable": ("segment", 0, "flags", 4), "table-addr": ("section", "addr", LINUX_RAM),
    "table-addr-odd": ("section", "addr", 0x7A002001), "table-offset": ("section", "offset", HUGE),
    "table-huge": ("section", "size", HUGE), "table-tiny": ("section", "size", 8),
    "table-cut": ("section", "size", 40), "table-nobits": ("section", "type", 8),
    "table-renamed": ("section", "name", 1), "name-huge": ("section", "name", 0xFFFFFFF0),
    "names-offset": ("names", "offset", HUGE), "names-huge": ("names", "size", HUGE),
    "version-2": ("table", "version", 2), "num-huge": ("table", "num", 0xFFFFFFFF),
    "num-33": ("table", "num", 33), "reserved-set": ("table", "reserved0", 1), "reserved1-set": ("table", "reserved1", 1),
    "entry-offset-huge": ("table", "offset0", 0xFFFFFFF0), "entry-offset-zero": ("table", "offset0", 0),
    "entry-offset-odd": ("table", "offset0", VDEV + 1), "entry-type": ("table", "vdev.type", 77),
    "carveout": ("table", "trace.type", 0), "devmem": ("table", "trace.type", 1),
    "two-devices": ("table", "offset1", VDEV), "device-id": ("table", "vdev.id", 3),
    "config-huge": ("table", "vdev.config_len", 0xFFFFFFFF), "config-cut": ("table", "vdev.config_len", 128),
    "vrings-none": ("vrings", 0), "vrings-three": ("vrings", 3), "vring-odd": ("table", "vring.num", 7),
    "vring-none": ("table", "vring.num", 0), "vring-huge": ("table", "vring.num", 0x80000000),
    "vring-large": ("table", "vring.num", 4096), "align-none": ("table", "vring.align", 0),
    "align-huge": ("table", "vring.align", 0x80000000), "trace-outside": ("table", "trace.da", LINUX_RAM),
    "trace-huge": ("table", "trace.len", 0xFFFFFFFF),
}
CUTS = {"empty": 1, "cut-header": 40, "cut-segments": 100, "cut-code": 5000, "cut-table": 12300, "cut-sections": -30}


def main() -> None:
    good = Path(sys.argv[1]).read_bytes()
    out = Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    for name, (kind, *arguments) in CHANGES.items():
        elf = Elf(good)
        getattr(elf, kind)(*arguments)
        if bytes(elf.data) == good:
            raise SystemExit(f"{name}: nothing changed")
        (out / f"{name}.elf").write_bytes(elf.data)
    for name, length in CUTS.items():
        (out / f"{name}.elf").write_bytes(good[:length])
    (out / "text.elf").write_bytes(b"no ELF file at all\n" * 40)


main()
