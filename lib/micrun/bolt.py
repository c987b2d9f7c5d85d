# SPDX-License-Identifier: Apache-2.0
"""Writes a bolt database (go.etcd.io/bbolt, file format 2): buckets within buckets, of keys and values.

The whole file is written at once. Each bucket has a leaf page of its own, which is as long as its content needs.
bbolt splits and packs pages as it likes when it next writes one.
"""

import struct

_MAGIC = 0xED0CDAED
_FORMAT = 2
_PAGE = 4096
_LEAF, _META, _FREELIST = 0x02, 0x04, 0x10
_IS_BUCKET = 0x01

# number, kind, how many elements, how many pages follow that belong to it
_PAGE_HEADER = struct.Struct("<QHHI")
# flags, where the key begins (from here), the lengths of key and value
_ELEMENT = struct.Struct("<IIII")
# the number of its page, a sequence number
_BUCKET = struct.Struct("<QQ")
# magic, format, page size, flags; the root bucket; the freelist's page, the first unused page, the transaction
_META_FIELDS = struct.Struct("<IIIIQQQQQ")


class Bucket(dict):
    """A bucket that has given numbers; others are plain dicts."""

    sequence = 0


class _Writer:
    """Numbers pages from 3 on: two of metadata and the empty list of free pages come first."""

    def __init__(self):
        self.pages = []
        self.next = 3

    def bucket(self, content):
        """Writes a bucket, those in it first, and returns its page's number."""
        flags, pairs = [], []
        for key, value in sorted(content.items()):
            nested = isinstance(value, dict)
            flags.append(_IS_BUCKET if nested else 0)
            pairs.append((key, _BUCKET.pack(self.bucket(value), getattr(value, "sequence", 0)) if nested else value))
        elements, data = b"", b""
        for index, (key, value) in enumerate(pairs):
            start = (len(pairs) - index) * _ELEMENT.size + len(data)
            elements += _ELEMENT.pack(flags[index], start, len(key), len(value))
            data += key + value
        return self._page(_LEAF, len(pairs), elements + data)

    def _page(self, kind, count, content):
        number, size = self.next, _PAGE_HEADER.size + len(content)
        more = (size - 1) // _PAGE
        self.pages.append((_PAGE_HEADER.pack(number, kind, count, more) + content).ljust((1 + more) * _PAGE, b"\0"))
        self.next += 1 + more
        return number


def _checksum(data):
    """FNV-1a of 64 bits."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def _meta(number, root, unused):
    fields = _META_FIELDS.pack(_MAGIC, _FORMAT, _PAGE, 0, root, 0, 2, unused, number)
    page = _PAGE_HEADER.pack(number, _META, 0, 0) + fields + struct.pack("<Q", _checksum(fields))
    return page.ljust(_PAGE, b"\0")


def database(content):
    """The bytes of a database: `content` is a dict of bytes to bytes, or to a dict, which is a bucket."""
    writer = _Writer()
    root = writer.bucket(content)
    head = [_meta(number, root, writer.next) for number in (0, 1)]
    free = _PAGE_HEADER.pack(2, _FREELIST, 0, 0).ljust(_PAGE, b"\0")
    return b"".join([*head, free, *writer.pages])
