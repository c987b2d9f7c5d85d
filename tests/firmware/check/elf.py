# SPDX-License-Identifier: Apache-2.0
"""Reads the exit record's address from an ELF image, by its segments alone as the daemon does."""

import struct

PT_NOTE = 4


CLASS_64 = 2


def note_segments(data):
    """Yields (offset, size) of every PT_NOTE segment of a little-endian ELF."""
    if data[4] == CLASS_64:
        phoff, = struct.unpack_from("<Q", data, 32)
        phentsize, phnum = struct.unpack_from("<HH", data, 54)
        fields = "<IIQQQQ"  # type, flags, offset, virtual address, physical address, size
        place = 2
    else:
        phoff, = struct.unpack_from("<I", data, 28)
        phentsize, phnum = struct.unpack_from("<HH", data, 42)
        fields = "<IIIII"  # type, offset, virtual address, physical address, size
        place = 1
    for i in range(phnum):
        header = struct.unpack_from(fields, data, phoff + i * phentsize)
        if header[0] == PT_NOTE:
            yield header[place], header[place + 3]


def notes(image):
    """Yields (name, type, descriptor) of every note."""
    data = image.read_bytes()
    for offset, size in note_segments(data):
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
