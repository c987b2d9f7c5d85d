# SPDX-License-Identifier: Apache-2.0
"""Reads the exit record's address from an ELF image, by its segments alone as the daemon does."""

import struct

PT_NOTE = 4


def notes(image):
    """Yields (name, type, descriptor) of every note in a PT_NOTE segment of a 64-bit little-endian ELF."""
    data = image.read_bytes()
    phoff, = struct.unpack_from("<Q", data, 32)
    phentsize, phnum = struct.unpack_from("<HH", data, 54)
    for i in range(phnum):
        kind, _, offset, _, _, size = struct.unpack_from("<IIQQQQ", data, phoff + i * phentsize)
        if kind != PT_NOTE:
            continue
        end = offset + size
        while offset < end:
            namesz, descsz, note_type = struct.unpack_from("<III", data, offset)
            name = offset + 12
            desc = name + (namesz + 3 & ~3)
            yield data[name:name + namesz], note_type, data[desc:desc + descsz]
            offset = desc + (descsz + 3 & ~3)


def exit_record(image):
    """The address of the exit record, or None."""
    found = [struct.unpack("<Q", desc)[0] for name, kind, desc in notes(image) if (name, kind) == (b"micrun\0", 1)]
    assert len(found) <= 1, f"{image} has {len(found)} exit records"
    return found[0] if found else None
