#!/usr/bin/env python3
"""Writes record.json: schema 1 of the layer record, made without the crate under test.

The firmware is the default of tests/support/mod.rs: an ELF header, two program headers, two segments.
"""
import hashlib
import json
import pathlib
import struct


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


segments = [(5, 0x40080000, b"\xaa" * 256, 256), (6, 0x40090000, b"\xbb" * 64, 4096)]
ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
elf = struct.pack("<16sHHIQQQIHHHHHH", ident, 2, 183, 1, 0x40080010, 64, 0, 0, 64, 56, 2, 64, 0, 0)
offset = 64 + 2 * 56
for flags, address, data, memsz in segments:
    elf += struct.pack("<IIQQQQQQ", 1, flags, offset, address, address, len(data), memsz, 4)
    offset += len(data)
elf += b"".join(data for _, _, data, _ in segments)


def add(data):
    return {"op": "add", "mode": "0644", "size": len(data), "sha256_after": digest(data)}


firmware = add(elf) | {
    "elf": {
        "class": "ELF64",
        "machine": "aarch64",
        "entry": "0x40080010",
        "segments": [
            {
                "paddr": hex(address),
                "vaddr": hex(address),
                "filesz": len(data),
                "memsz": memsz,
                "flags": flags,
                "sha256": digest(data),
            }
            for flags, address, data, memsz in segments
        ],
    }
}
record = {"schema": 1, "files": {"/firmware.elf": firmware, "/client.conf": add(b"[Mica]\n")}}
text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
pathlib.Path(__file__).with_name("record.json").write_text(text)
