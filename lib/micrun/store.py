# SPDX-License-Identifier: Apache-2.0
"""Fills containerd's store with OCI archives, without a containerd: its content and its metadata, as an import would.

    python3 -m micrun.store ROOT [--namespace NAME]... ARCHIVE...

ROOT is containerd's own folder (/var/lib/containerd) in a system that is being made. Layers are unpacked by the first
container of an image, as after an import.
"""

import argparse
import hashlib
import json
import struct
import sys
import tarfile
from pathlib import Path

from micrun import bolt

CONTENT = "io.containerd.content.v1.content/blobs/sha256"
METADATA = "io.containerd.metadata.v1.bolt/meta.db"
# For micrun-preload: what is in the store need not be imported.
STAMPS = "micrun-preload"
# The schema of containerd 1.7; newer ones go on from it.
SCHEMA = 3
# Seconds from the year 1, where Go's times begin, to 1970.
_UNIX_EPOCH = 62135596800
_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


class StoreError(Exception):
    """An archive that is not what it says, or a store that is not empty."""


class _Archive:
    """An OCI archive, each of whose blobs has the digest of its name."""

    def __init__(self, path):
        self.path, self.blobs = path, {}
        data = Path(path).read_bytes()
        self.digest = hashlib.sha256(data).hexdigest()
        index = None
        with tarfile.open(path) as tar:
            for member in tar:
                if not member.isfile():
                    continue
                content = tar.extractfile(member).read()
                if member.name == "index.json":
                    index = json.loads(content)
                elif member.name.startswith("blobs/sha256/"):
                    self._add(member.name.rpartition("/")[2], content)
        if index is None:
            raise StoreError(f"{path}: there is no index.json: it is no OCI archive")
        self.images = [(self._name(entry), entry) for entry in index["manifests"]]
        self.labels = {}
        for _, target in self.images:
            self._follow(target)

    def _add(self, name, content):
        found = hashlib.sha256(content).hexdigest()
        if found != name:
            raise StoreError(f"{self.path}: blob {name} has the digest {found}")
        self.blobs[f"sha256:{name}"] = content

    def _name(self, entry):
        annotations = entry.get("annotations", {})
        for key in _NAMES:
            if key in annotations:
                return annotations[key]
        raise StoreError(f"{self.path}: the image {entry['digest']} has no name")

    def _follow(self, descriptor):
        """Labels what a manifest or an index names, and all below it, so that nothing of it is garbage."""
        digest = descriptor["digest"]
        if digest not in self.blobs or len(self.blobs[digest]) != descriptor["size"]:
            raise StoreError(f"{self.path}: {digest} of {descriptor['size']} bytes is not in it")
        if digest in self.labels:
            return
        labels = self.labels[digest] = {}
        kind = descriptor["mediaType"]
        if kind.endswith((".index.v1+json", ".list.v2+json")):
            children = [("m.%d" % number, it) for number, it in enumerate(json.loads(self.blobs[digest])["manifests"])]
        elif "manifest" in kind:
            manifest = json.loads(self.blobs[digest])
            children = [("config", manifest["config"])]
            children += [("l.%d" % number, it) for number, it in enumerate(manifest["layers"])]
        else:
            return
        for name, child in children:
            labels[f"containerd.io/gc.ref.content.{name}"] = child["digest"]
            self._follow(child)


def _time(seconds):
    """A time of UTC as Go writes it."""
    return struct.pack(">BqIh", 1, seconds + _UNIX_EPOCH, 0, -1)


def _varint(number):
    """A number that is not negative, as Go writes those that may be."""
    number, data = number << 1, bytearray()
    while number > 0x7F:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*data, number])


def _bucket(times, **fields):
    """A bucket of fields; those that are empty are left out."""
    entries = {key.encode(): value for key, value in fields.items() if value}
    return {b"createdat": times, b"updatedat": times, **entries}


def _text(pairs):
    return {key.encode(): value.encode() for key, value in pairs.items()}


def _namespace(archives, times):
    images, blobs = {}, {}
    for archive in archives:
        for name, target in archive.images:
            descriptor = {
                b"digest": target["digest"].encode(),
                b"mediatype": target["mediaType"].encode(),
                b"size": _varint(target["size"]),
            }
            images[name.encode()] = _bucket(times, target=descriptor)
        for digest, labels in archive.labels.items():
            blobs[digest.encode()] = _bucket(times, size=_varint(len(archive.blobs[digest])), labels=_text(labels))
    return {b"images": images, b"content": {b"blob": blobs}}


def fill(root, paths, namespaces=("default",), created=0):
    """Fills a store that has nothing in it yet. Same archives, same bytes. Returns the names of the images."""
    root, archives = Path(root), [_Archive(path) for path in paths]
    metadata = root / METADATA
    if metadata.exists():
        raise StoreError(f"{metadata} is there already: the store is not empty")
    content = root / CONTENT
    content.mkdir(parents=True, exist_ok=True)
    for archive in archives:
        for digest in archive.labels:
            blob = content / digest.partition(":")[2]
            if not blob.exists():
                blob.write_bytes(archive.blobs[digest])
                blob.chmod(0o444)
    buckets = {name.encode(): _namespace(archives, _time(created)) for name in namespaces}
    metadata.parent.mkdir(parents=True, exist_ok=True)
    metadata.write_bytes(bolt.database({b"v1": {b"version": _varint(SCHEMA), **buckets}}))
    metadata.chmod(0o644)
    for namespace in namespaces:
        stamps = root / STAMPS / namespace
        stamps.mkdir(parents=True, exist_ok=True)
        for archive in archives:
            (stamps / archive.digest).touch()
    root.chmod(0o700)
    return sorted(name for archive in archives for name, _ in archive.images)


def main():
    """Fills the store that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root")
    parser.add_argument("archives", nargs="+", metavar="ARCHIVE")
    parser.add_argument("--namespace", action="append", dest="namespaces")
    arguments = parser.parse_args()
    try:
        names = fill(arguments.root, arguments.archives, arguments.namespaces or ["default"])
    except StoreError as error:
        sys.exit(f"micrun.store: {error}")
    print("\n".join(names))


if __name__ == "__main__":
    main()
