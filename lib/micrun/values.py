# SPDX-License-Identifier: Apache-2.0
"""Values as containerd writes them into its databases (pkg/boltutil, and Go's encoding/binary and time)."""

import struct

# Seconds from the year 1, where Go's times begin, to 1970.
_UNIX_EPOCH = 62135596800


def time(seconds):
    """A time of UTC."""
    return struct.pack(">BqIh", 1, seconds + _UNIX_EPOCH, 0, -1)


def timestamps(seconds):
    """When something was made, and last changed."""
    return {b"createdat": time(seconds), b"updatedat": time(seconds)}


def uvarint(number):
    """A number that cannot be negative."""
    data = bytearray()
    while number > 0x7F:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*data, number])


def varint(number):
    """A number that is not negative, but could be."""
    return uvarint(number << 1)


def text(pairs):
    """A bucket of strings."""
    return {key.encode(): value.encode() for key, value in pairs.items()}
