"""containerd's store as the layer's class fills it, shown to this machine's containerd; and the units of images."""

import contextlib
import gzip
import hashlib
import importlib
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from report import Skip

CONFIG = """version = 2
root = "{root}"
state = "{state}"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.internal.v1.opt"]
[grpc]
address = "{state}/containerd.sock"
[ttrpc]
address = "{state}/containerd.sock.ttrpc"
"""
MANIFEST, INDEX = "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"


def library(root, name):
    """A module of the layer's."""
    if str(root / "lib") not in sys.path:
        sys.path.insert(0, str(root / "lib"))
    return importlib.import_module(f"micrun.{name}")


def tar_of(*members):
    """A tar archive of names, what is unusual of them, and their content."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, attributes, content in members:
            member = tarfile.TarInfo(name)
            for attribute, value in {"size": len(content), **attributes}.items():
                setattr(member, attribute, value)
            tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


def archive(path, name, boards=("v1", "v2"), damage=None, extra=(), diffs=(), pack=lambda data: gzip.compress(data, mtime=0)):
    """An OCI archive: an image for several boards, the same two layers in all.

    `damage` changes the blobs, `extra` is more in the second layer, which `pack` compresses, and `diffs` are what the image
    says that its layers unpack to.
    """
    blobs = {}

    def blob(content, kind, **more):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data), **more}

    files = tar_of(("firmware.elf", {"mode": 0o640}, name.encode()))
    more = tar_of(
        ("opt", {"type": tarfile.DIRTYPE, "mode": 0o750, "uid": 7, "gid": 8}, b""),
        ("opt/table", {"mtime": 1000000000, "mode": 0o4711}, b"x" * 5000),
        ("opt/link", {"type": tarfile.SYMTYPE, "linkname": "table"}, b""),
        ("opt/same", {"type": tarfile.LNKTYPE, "linkname": "opt/table", "mtime": 1000000000, "mode": 0o4711}, b""),
        *extra,
    )
    layer = blob(files, "application/vnd.oci.image.layer.v1.tar")
    layers = [layer, blob(pack(more), "application/vnd.oci.image.layer.v1.tar+gzip")]
    manifests = []
    for board in boards:
        rootfs = {"type": "layers", "diff_ids": diffs or [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in (files, more)]}
        config = blob({"architecture": "arm64", "os": "linux", "variant": board, "rootfs": rootfs}, "application/vnd.oci.image.config.v1+json")
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
        manifests.append(blob(manifest, MANIFEST, platform={"architecture": "arm64", "os": "linux", "variant": board}))
    index = blob({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}, INDEX)
    index["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": "1"}
    if damage:
        damage(blobs, layer["digest"].partition(":")[2])
    files = {f"blobs/sha256/{digest}": data for digest, data in blobs.items()}
    files["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [index]}).encode()
    Path(path).write_bytes(tar_of(*((file, {}, data) for file, data in files.items())))
    return path


def digests(path):
    """Of the blobs of an archive."""
    with tarfile.open(path) as tar:
        return {name.rpartition("/")[2] for name in tar.getnames() if name.startswith("blobs/")}


@contextlib.contextmanager
def containerd(directory, root):
    """A containerd of its own on a store; gives its `ctr`."""
    state = Path(tempfile.mkdtemp(prefix="state-", dir=directory))
    config = Path(directory, "config.toml")
    config.write_text(CONFIG.format(root=root, state=state))
    with open(f"{directory}/log", "w") as log:
        daemon = subprocess.Popen(["containerd", "--config", config], stdout=log, stderr=subprocess.STDOUT)

    def ctr(*words):
        command = ["ctr", "--address", f"{state}/containerd.sock", *words]
        # Its socket is there before it listens, and nobody knows when before that.
        while True:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if "failed to dial" not in done.stderr or daemon.poll() is not None:
                break
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.stderr}")
        # An age and the order of labels say nothing.
        lines = [re.sub(r"\d+ (second|minute|hour|day|week|month|year)s?|About an? \w+|Less than a second", "", line) for line in done.stdout.splitlines()]
        return sorted(" ".join(sorted(re.split(r"[\s,]+", line))) for line in lines)

    try:
        yield ctr
    finally:
        daemon.terminate()
        daemon.wait()


def snapshots(ctr, root):
    """What containerd tells of each snapshot but its times, and the files in all of them."""
    names = sorted(set(re.findall(r"sha256:[0-9a-f]{64}", " ".join(ctr("snapshots", "ls")))))
    told = [[line for line in ctr("snapshots", "info", name) if '"Updated"' not in line and '"Created"' not in line] for name in names]
    folder = Path(root, "io.containerd.snapshotter.v1.overlayfs/snapshots")
    files = []
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        inside = Path(*path.relative_to(folder).parts[1:])
        # Those of the directories that containerd itself makes are of now.
        time = status.st_mtime if len(inside.parts) > 1 else 0
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        files.append((str(inside), oct(status.st_mode), status.st_uid, status.st_gid, status.st_nlink, time, content[:40]))
    return told, sorted(files)


def take(ctr, directory, path, boards):
    """Imports an archive and unpacks it for each board."""
    ctr("image", "import", "--all-platforms", "--no-unpack", path)
    mounted = Path(directory, "mounted")
    for board in boards:
        mounted.mkdir()
        # What unpacks for another machine than this one.
        ctr("image", "mount", "--platform", f"linux/arm64/{board}", f"localhost/{path.stem}:1", mounted)
        ctr("image", "unmount", "--rm", mounted)
        mounted.rmdir()


def filled(root):
    """A filled store is to containerd what an import makes, and containerd goes on with it."""
    if not shutil.which("containerd"):
        raise Skip("there is no containerd here; `make host` installs it")
    store = library(root, "store")

    problems = []
    with tempfile.TemporaryDirectory(prefix="micrun-yocto-") as directory:
        boards = {"motor": ("v8",), "sensor": ("v1", "v2")}
        paths = [archive(Path(directory, f"{name}.tar"), f"localhost/{name}:1", its) for name, its in boards.items()]
        store.fill(f"{directory}/filled", paths)
        shutil.copytree(f"{directory}/filled", f"{directory}/again")
        looks = ("image", "ls"), ("content", "ls"), ("snapshots", "ls"), ("snapshots", "usage")
        with containerd(directory, f"{directory}/imported") as ctr:
            for path in paths:
                take(ctr, directory, path, boards[path.stem])
            # The import of an archive leaves its index.json until garbage is collected. --sync waits for that.
            ctr("image", "tag", "localhost/motor:1", "localhost/garbage:1")
            ctr("image", "rm", "--sync", "localhost/garbage:1")
            imported = [ctr(*look) for look in looks]
            unpacked = snapshots(ctr, f"{directory}/imported")
        with containerd(directory, f"{directory}/filled") as ctr:
            for look, expected in zip(looks, imported):
                found = ctr(*look)
                if found != expected:
                    problems.append(f"{' '.join(look)} differs:\n{found}\nafter an import:\n{expected}")
            # What differs already may be garbage, and go while it is looked at.
            if not problems and (found := snapshots(ctr, f"{directory}/filled")) != unpacked:
                problems.append(f"the snapshots differ:\n{found}\nafter an import:\n{unpacked}")
            # It is written to: one image goes with what only it had, another comes.
            ctr("image", "rm", "--sync", "localhost/sensor:1")
            third = archive(Path(directory, "third.tar"), "localhost/third:1", ("v6",))
            take(ctr, directory, third, ("v6",))
            left = ctr("content", "ls")
            committed = [line for line in ctr("snapshots", "ls") if "Committed" in line]
            if len(committed) != 4:
                problems.append(f"after a removal and an import two images have not two snapshots each, but {committed}")
        kept, gone = digests(paths[0]) | digests(third), digests(paths[1]) - digests(paths[0])
        lost = [digest for digest in kept if not any(digest in line for line in left)]
        stayed = [digest for digest in gone if any(digest in line for line in left)]
        problems += [f"after a removal and an import {digest} is lost" for digest in lost]
        problems += [f"after the removal of its image {digest} is still there" for digest in stayed]
        # Same archives, same bytes.
        store.fill(f"{directory}/twice", paths)
        if Path(directory, "again", store.METADATA).read_bytes() != Path(directory, "twice", store.METADATA).read_bytes():
            problems.append("the metadata is not the same twice")
    return problems


def refused(root):
    """Archives that are not what they say fill nothing, and a store is filled once."""
    store = library(root, "store")

    def changed(blobs, layer):
        blobs[layer] = b"x" + blobs[layer][1:]

    def lost(blobs, layer):
        del blobs[layer]

    problems = []
    with tempfile.TemporaryDirectory(prefix="micrun-yocto-") as directory:
        for damage, word in ((changed, "has the digest"), (lost, "is not in it")):
            path = archive(f"{directory}/{damage.__name__}.tar", "localhost/motor:1", damage=damage)
            problems += _refuses(store, f"{directory}/store", path, word)
        path = archive(f"{directory}/diffs.tar", "localhost/motor:1", diffs=[f"sha256:{'0' * 64}"] * 2)
        problems += _refuses(store, f"{directory}/store", path, "unpacks to")
        path = archive(f"{directory}/torn.tar", "localhost/motor:1", pack=lambda data: gzip.compress(data)[:-9])
        problems += _refuses(store, f"{directory}/store", path, "does not unpack")
        good = archive(f"{directory}/good.tar", "localhost/motor:1")
        if Path(directory, "store").exists():
            problems.append("a store was begun with archives that are refused")
        store.fill(f"{directory}/once", [good])
        problems += _refuses(store, f"{directory}/once", good, "not empty")
    return problems


def left(root):
    """What a plain unpacking would not give is left to the first container, and writes nothing anywhere else."""
    snapshots, store = library(root, "snapshots"), library(root, "store")

    link = ("opt/away", {"type": tarfile.SYMTYPE, "linkname": ".."}, b"")
    cases = {
        "whiteout": [("opt/.wh.table", {}, b"")],
        "device": [("opt/null", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}, b"")],
        "attribute": [("opt/ping", {"pax_headers": {"SCHILY.xattr.user.a": "b"}}, b"")],
        "absolute": [("/tmp/x", {}, b"")],
        "above": [("../x", {}, b"")],
        "through": [link, ("opt/away/x", {}, b"")],
        "linked": [link, ("opt/x", {"type": tarfile.LNKTYPE, "linkname": "opt/away/passwd"}, b"")],
        "host": [("opt/x", {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"}, b"")],
        "twice": [link, ("opt/away", {}, b"x")],
    }
    problems = []
    with tempfile.TemporaryDirectory(prefix="micrun-yocto-") as directory:
        for name, extra in {"plain": [], **cases}.items():
            path = archive(f"{directory}/{name}.tar", f"localhost/{name}:1", extra=extra)
            store.fill(f"{directory}/{name}", [path])
            if Path(directory, name, snapshots.FOLDER).exists() == (name in cases):
                problems.append(f"{name}: {'unpacked' if name in cases else 'not unpacked'}")
    return problems


def _refuses(store, into, path, word):
    try:
        store.fill(into, [path])
    except store.StoreError as error:
        return [] if word in str(error) else [f"{path}: refused for another reason than {word!r}: {error}"]
    return [f"{path}: was not refused"]


def units(root):
    """The unit of an image is one for systemd, with every word as it was said."""
    unit = library(root, "unit")

    problems = []
    options = ["--annotation", 'a.b=50% of "$x" \\ y', "--memory-limit", "67108864"]
    text = unit.unit("motor", "localhost/motor:1", "on-failure", "Motor at 100 %", options)
    expected = r'--annotation "a.b=50%% of \"$$x\" \\ y" --memory-limit 67108864 localhost/motor:1 motor'
    for line in (f"ExecStart=/usr/libexec/micrun-run {expected}", "Restart=on-failure", "Description=Motor at 100 %%"):
        if line not in text.splitlines():
            problems.append(f"there is no line {line}\n{text}")
    for name, policy in (("motor", "sometimes"), ("../motor", "always"), ("a b", "always")):
        try:
            unit.unit(name, "localhost/motor:1", policy, "Motor")
            problems.append(f"{name!r}, {policy!r} was not refused")
        except unit.UnitError:
            pass
    if shutil.which("systemd-analyze"):
        problems += _verify(root, text)
    return problems


def _verify(root, text):
    with tempfile.TemporaryDirectory(prefix="micrun-yocto-") as directory:
        # Its program is the target's, and so are the units that it names.
        path = Path(directory, "firmware-motor.service")
        path.write_text(text.replace("/usr/libexec/micrun-run", "/bin/true"))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True, check=False)
        return [line for line in done.stderr.splitlines() if path.name in line and "not found" not in line]
