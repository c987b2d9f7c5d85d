# SPDX-License-Identifier: Apache-2.0
"""Fills containerd's overlayfs snapshotter with the layers of images, as the first container of each would.

Layers that a plain unpacking does not give are left to that container: what has whiteouts, devices, extended attributes,
or paths through symbolic links.
"""

import gzip
import hashlib
import io
import os
import stat
import tarfile
from pathlib import Path, PurePosixPath

from micrun import bolt
from micrun.values import timestamps, uvarint, varint

SNAPSHOTTER = "overlayfs"
FOLDER = "io.containerd.snapshotter.v1.overlayfs"
# snapshots.KindCommitted
_COMMITTED = b"\x03"
_PAGE = 4096


def unpacked(media_type, data):
    """The tar archive of a layer, or None if its compression is not Python's."""
    if media_type.endswith("tar"):
        return data
    return gzip.decompress(data) if media_type.endswith("gzip") else None


def is_plain(layer):
    """Whether files, directories and links are all that the tar archive `layer` has, each where its name says."""
    seen, links = set(), set()
    with tarfile.open(fileobj=io.BytesIO(layer), mode="r:") as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            inside = not path.is_absolute() and ".." not in path.parts and not links & set(path.parents)
            if not inside or path in seen or path.name.startswith(".wh."):
                return False
            if member.islnk() and PurePosixPath(member.linkname) not in seen:
                return False
            if not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
                return False
            if any(key.startswith("SCHILY.xattr.") for key in member.pax_headers):
                return False
            seen.add(path)
            if member.issym():
                links.add(path)
    return True


def _unpack(layer, into):
    into.mkdir(mode=0o755)
    # Else newer Pythons take bits of the mode away, and the owner.
    trusted = {"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}
    with tarfile.open(fileobj=io.BytesIO(layer), mode="r:") as tar:
        tar.extractall(into, numeric_owner=True, **trusted)
        for member in tar:
            if member.issym():
                os.utime(into / member.name, (member.mtime, member.mtime), follow_symlinks=False)


def _usage(folder):
    """How many inodes, and how many bytes in whole pages; a symbolic link has none of its own."""
    inodes = {(status := path.lstat()).st_ino: status for path in [folder, *folder.rglob("*")]}.values()
    sizes = [_PAGE if stat.S_ISDIR(it.st_mode) else it.st_size for it in inodes if not stat.S_ISLNK(it.st_mode)]
    return len(inodes), sum((size + _PAGE - 1) // _PAGE * _PAGE for size in sizes)


def _chain(parent, diff):
    """The name of a layer on another (image-spec, config.md, Layer ChainID)."""
    return f"sha256:{hashlib.sha256(f'{parent} {diff}'.encode()).hexdigest()}" if parent else diff


class Snapshots:
    """The snapshotter's folder, and what containerd's own database has of it."""

    def __init__(self, root, created):
        self.folder, self.created = Path(root) / FOLDER, created
        self.namespaces = {}
        self.entries, self.parents = bolt.Bucket(), {}

    def add(self, namespace, layers):
        """Adds the layers of an image, pairs of the digest of a tar archive and that archive. Returns the last one's name."""
        parent = None
        for diff, layer in layers:
            name = _chain(parent, diff)
            known = self.namespaces.setdefault(namespace, bolt.Bucket())
            if name.encode() not in known:
                self._add(namespace, known, name, parent, layer)
            parent = name
        return parent

    def _add(self, namespace, known, name, parent, layer):
        known.sequence += 1
        key = f"{namespace}/{known.sequence}/{name}"
        self.entries.sequence += 1
        folder = self.folder / "snapshots" / str(self.entries.sequence)
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
        (folder / "work").mkdir(mode=0o711)
        _unpack(layer, folder / "fs")
        inodes, size = _usage(folder / "fs")
        times = timestamps(self.created)
        number = uvarint(self.entries.sequence)
        record = known[name.encode()] = {b"name": key.encode(), **times}
        entry = {b"id": number, b"kind": _COMMITTED, b"inodes": varint(inodes), b"size": varint(size), **times}
        self.entries[key.encode()] = entry
        if parent:
            above = known[parent.encode()]
            above.setdefault(b"children", {})[name.encode()] = b""
            record[b"parent"], entry[b"parent"] = parent.encode(), above[b"name"]
            self.parents[self.entries[above[b"name"]][b"id"] + b"\0" + number] = key.encode()

    def metadata(self, namespace):
        """What containerd's database has of a namespace's snapshots."""
        known = self.namespaces.get(namespace)
        return {SNAPSHOTTER.encode(): known} if known else {}

    def write(self):
        """Writes the snapshotter's own database, if there is something for it."""
        if not self.entries:
            return
        content = {b"snapshots": self.entries, b"parents": self.parents}
        (self.folder / "metadata.db").write_bytes(bolt.database({b"v1": content}))
        (self.folder / "metadata.db").chmod(0o600)
        for folder in (self.folder, self.folder / "snapshots"):
            folder.chmod(0o700)
