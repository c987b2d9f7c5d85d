"""Writes a directory as an initramfs (cpio, format newc), the same bytes for the same files.

usage: initramfs.py ROOT OUTPUT
"""

import sys
from pathlib import Path

FIELDS = ("inode", "mode", "uid", "gid", "links", "mtime", "size", "major", "minor", "rmajor", "rminor", "name", "check")


def entry(name: str, inode: int, mode: int, data: bytes = b"") -> bytes:
    """One file: header, name and content, each padded to four bytes."""
    values = dict.fromkeys(FIELDS, 0) | {
        "inode": inode,
        "mode": mode,
        "links": 1,
        "size": len(data),
        "name": len(name) + 1,
    }
    header = b"070701" + b"".join(b"%08x" % values[field] for field in FIELDS) + name.encode() + b"\0"
    return b"".join(part + bytes(-len(part) % 4) for part in (header, data))


def main() -> None:
    root, output = Path(sys.argv[1]), Path(sys.argv[2])
    with output.open("wb") as archive:
        for inode, path in enumerate(sorted(root.rglob("*")), 1):
            mode, data = path.lstat().st_mode, b""
            if path.is_symlink():
                data = str(path.readlink()).encode()
            elif path.is_file():
                data = path.read_bytes()
            archive.write(entry(str(path.relative_to(root)), inode, mode, data))
        archive.write(entry("TRAILER!!!", 0, 0))


if __name__ == "__main__":
    main()
