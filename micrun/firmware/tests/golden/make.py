#!/usr/bin/env python3
"""Writes record.json and changes.json: schemas 1 and 2 of the layer record, made without the crate under test.

The firmware is the default of tests/support/mod.rs: an ELF header, two program headers, two segments.
"""
import hashlib
import json
import pathlib
import struct


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def elf(segments):
    ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    data = struct.pack("<16sHHIQQQIHHHHHH", ident, 2, 183, 1, 0x40080010, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    offset = 64 + 2 * 56
    for flags, address, content, memsz in segments:
        data += struct.pack("<IIQQQQQQ", 1, flags, offset, address, address, len(content), memsz, 4)
        offset += len(content)
    return data + b"".join(content for _, _, content, _ in segments)


def file(op, data):
    return {"op": op, "mode": "0644", "size": len(data), "sha256_after": digest(data)}


def firmware(op, segments):
    return file(op, elf(segments)) | {
        "elf": {
            "class": "ELF64",
            "machine": "aarch64",
            "entry": "0x40080010",
            "segments": [
                {
                    "paddr": hex(address),
                    "vaddr": hex(address),
                    "filesz": len(content),
                    "memsz": memsz,
                    "flags": flags,
                    "sha256": digest(content),
                }
                for flags, address, content, memsz in segments
            ],
        }
    }


def write(name, schema, files):
    text = json.dumps(
        {"schema": schema, "files": files}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    pathlib.Path(__file__).with_name(name).write_text(text)


code = (5, 0x40080000, b"\xaa" * 256, 256)
base = [code, (6, 0x40090000, b"\xbb" * 64, 4096)]
write("record.json", 1, {"/firmware.elf": firmware("add", base), "/client.conf": file("add", b"[Mica]\n")})

# Eight bytes of the second segment change.
result = [code, (6, 0x40090000, b"\xbb" * 16 + b"new text" + b"\xbb" * 40, 4096)]
change = {
    "offset": 64 + 2 * 56 + 256 + 16,
    "paddr": hex(0x40090000 + 16),
    "size": 8,
    "sha256_before": digest(b"\xbb" * 8),
    "sha256_after": digest(b"new text"),
}
replaced = firmware("replace", result) | {"sha256_before": digest(elf(base)), "changes": [change]}
write("changes.json", 2, {"/firmware.elf": replaced})
