# SPDX-License-Identifier: Apache-2.0
"""Fills containerd's store with OCI archives, without a containerd: content, snapshots and metadata, as an import would.

    python3 -m micrun.store ROOT [--namespace NAME]... ARCHIVE...

ROOT is containerd's own folder (/var/lib/containerd) in a system that is being made. Run it as root, whose files those of
the layers are.
"""

import argparse
import hashlib
import json
import sys
import tarfile
import zlib
from pathlib import Path

from micrun import bolt, snapshots
from micrun.values import text, timestamps, varint

CONTENT = "io.containerd.content.v1.content/blobs/sha256"
METADATA = "io.containerd.metadata.v1.bolt/meta.db"
# For micrun-preload: what is in the store need not be imported.
STAMPS = "micrun-preload"
# The schema of containerd 1.7; newer ones go on from it.
SCHEMA = 3
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
        self.labels, self.layers = {}, {}
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
        kind, manifest = descriptor["mediaType"], None
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
        if manifest:
            self._unpack(manifest)

    def _unpack(self, manifest):
        """Keeps an image's layers for the snapshotter, unless one has to be left to the first container."""
        config, layers = manifest["config"]["digest"], []
        diffs = json.loads(self.blobs[config]).get("rootfs", {}).get("diff_ids", [])
        for layer, diff in zip(manifest["layers"], diffs):
            digest = layer["digest"]
            try:
                data = snapshots.unpacked(layer["mediaType"], self.blobs[digest])
                if data is None or not snapshots.is_plain(data):
                    return
            except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
                raise StoreError(f"{self.path}: the layer {digest} does not unpack: {error}") from error
            found = hashlib.sha256(data).hexdigest()
            if diff != f"sha256:{found}":
                raise StoreError(f"{self.path}: the layer {digest} unpacks to sha256:{found}, not {diff}")
            layers.append((digest, diff, data))
        if layers:
            self.layers[config] = layers


def _namespace(name, archives, unpacked, created):
    images, blobs = {}, {}
    for archive in archives:
        for image, target in archive.images:
            descriptor = {
                b"digest": target["digest"].encode(),
                b"mediatype": target["mediaType"].encode(),
                b"size": varint(target["size"]),
            }
            images[image.encode()] = {b"target": descriptor, **timestamps(created)}
        for config, layers in archive.layers.items():
            chain = unpacked.add(name, [(diff, layer) for _, diff, layer in layers])
            archive.labels[config][f"containerd.io/gc.ref.snapshot.{snapshots.SNAPSHOTTER}"] = chain
            for digest, diff, _ in layers:
                archive.labels[digest]["containerd.io/uncompressed"] = diff
        for digest, labels in archive.labels.items():
            blob = {b"size": varint(len(archive.blobs[digest])), **timestamps(created)}
            blobs[digest.encode()] = {**blob, b"labels": text(labels)} if labels else blob
    return {b"images": images, b"content": {b"blob": blobs}, b"snapshots": unpacked.metadata(name)}


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
    unpacked = snapshots.Snapshots(root, created)
    buckets = {name.encode(): _namespace(name, archives, unpacked, created) for name in namespaces}
    unpacked.write()
    metadata.parent.mkdir(parents=True, exist_ok=True)
    metadata.write_bytes(bolt.database({b"v1": {b"version": varint(SCHEMA), **buckets}}))
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
