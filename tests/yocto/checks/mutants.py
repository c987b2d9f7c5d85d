"""Shows that the checks can fail: each mutant of the layers has one mistake, and is to be rejected for it."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from report import Skip

# What a mutant may change is copied, the sources are linked.
COPIED = ".github classes conf dynamic-layers lib meta-micrun meta-micrun-openeuler meta-micrun-rtos recipes-containers recipes-devtools recipes-kernel tools kas Cargo.lock Cargo.toml Kconfig".split()
LINKED = "LICENSE drivers etc micrun micrun-image-builder".split()

CRATES = "recipes-containers/micrun/micrun-crates.inc"
SOURCES = "recipes-containers/micrun/micrun.inc"
SOURCE = "recipes-containers/micrun/micrun-source.inc"
PRELOAD = "recipes-containers/micrun-preload/micrun-preload_0.1.0.bb"
IMAGE_CLASS = "classes/micrun-image.bbclass"

# Name, file, what is replaced by what, the check that has to reject it, and a word of its reason.
MUTANTS = (
    ("syntax", PRELOAD, 'SECTION = "containers"', 'SECTION "containers"', "recipes", "ParseError"),
    ("unknown class", PRELOAD, "inherit allarch", "inherit allarchs", "recipes", "Could not inherit"),
    ("missing file", PRELOAD, "file://micrun-preload.init", "file://micrun-preload.rc", "recipes", "is not there"),
    ("member of the workspace left out", SOURCES, " micrun micrun-image-builder\"", " micrun\"", "recipes", "does not bring micrun-image-builder"),
    ("cargo builds where it likes", SOURCES, "export CARGO_TARGET_DIR", "CARGO_TARGET_DIR", "recipes", "outside of B"),
    ("source of the firmware left out", "recipes-containers/micrun-demo/micrun-demo-firmware_0.1.0.bb", "    tests/firmware/hello \\\n", "", "recipes", "cannot be made"),
    ("broken shell", PRELOAD, "    fi\n}", "}", "recipes", "no shell"),
    ("broken Python", IMAGE_CLASS, 'if not d.getVar("MICRUN_FIRMWARE"):', "if not d.getVar(:", "recipes", "SyntaxError"),
    ("wrong licence checksum", "recipes-kernel/mica-rproc/mica-rproc_0.1.0.bb", "md5=b234", "md5=b235", "recipes", "another checksum"),
    ("crate without checksum", CRATES, "SRC_URI[cfg-if-", "SRC_URI[cfg-of-", "recipes", "no SHA-256"),
    ("wrong crate checksum", CRATES, '.sha256sum] = "', '.sha256sum] = "0', "pins", "not what Cargo.lock says"),
    ("crate of another checksum, downloaded", CRATES, 'SRC_URI[cfg-if-1.0.5.sha256sum] = "', 'SRC_URI[cfg-if-1.0.5.sha256sum] = "0', "fetch", "hecksum"),
    ("git: sources beside S", SOURCE, "destsuffix=${BP}", "destsuffix=git", "switched", "by git, SRC_URI"),
    ("git: revision unchecked", SOURCE, "[0-9a-f]{40}", ".*", "refused", "was accepted"),
    ("product of another vendor", "recipes-containers/micad/micad_0.1.0.bb", '"micrun:micad"', '"micrun:micad gnu:glibc"', "recipes", "gnu:glibc"),
    ("trailing blank", PRELOAD, 'update-rc.d\n', 'update-rc.d \n', "oelint", "oelint."),
    ("no LAYERSERIES_COMPAT", "conf/layer.conf", "LAYERSERIES_COMPAT_micrun =", "LAYERSERIES_micrun =", "layers", "LAYERSERIES_COMPAT"),
    ("no LAYERDEPENDS", "meta-micrun/conf/layer.conf", 'LAYERDEPENDS_micrun-distro = "core', 'LAYERDEPENDS_micrun-distro = "', "layers", "LAYERDEPENDS"),
    ("override with a recipe's name", "meta-micrun/conf/distro/micrun.conf", 'DISTROOVERRIDES = "distro-micrun"', "", "distribution", "recipe's name"),
    ("append's file without a place", "recipes-devtools/qemu/qemu-small.inc", "file://options ", "file://choices ", "appends", "file://choices is not there"),
    ("fragment: no symbol", "meta-micrun/recipes-kernel/linux/files/micrun-pods.cfg", "CONFIG_NF_NAT=m", "CONFIG_NF_NATS=m", "kernel", "CONFIG_NF_NATS is no symbol"),
    ("fragment: does not survive", "meta-micrun/recipes-kernel/linux/files/micrun-remoteproc.cfg", "CONFIG_RPMSG_CHAR=m", "CONFIG_RPMSG=y\nCONFIG_RPMSG_CHAR=m", "kconfig", "CONFIG_RPMSG=y does not survive"),
    ("openeuler: another layer", "meta-micrun-openeuler/features/mcs/micrun-rs.yaml", "micrun/meta-micrun-openeuler", "meta-micrun-openeuler", "openeuler", "feature's layers"),
    ("store: garbage", "lib/micrun/store.py", 'labels[f"containerd.io/gc.ref.content.{name}"]', 'labels[f"containerd.io/gc.content.{name}"]', "store", "differs"),
    ("store: digests unchecked", "lib/micrun/store.py", "if found != name:", "if not name:", "archives", "another reason than 'has the digest'"),
    ("store: layers unchecked", "lib/micrun/store.py", 'if diff != f"sha256:{found}":', "if not diff:", "archives", "was not refused"),
    ("snapshots: not committed", "lib/micrun/snapshots.py", r'_COMMITTED = b"\x03"', r'_COMMITTED = b"\x02"', "store", "differ"),
    ("snapshots: out of the layer", "lib/micrun/snapshots.py", "not links & set(path.parents)", "not set()", "plain", "unpacked"),
    ("pack: a shell's words", "lib/micrun/pack.py", "shlex.split(get(name) or \"\")", "(get(name) or \"\").split()", "pack", "command line"),
    ("pack: no dependency", IMAGE_CLASS, '"mcdepends"', '"mcdepend"', "pack", "depends on"),
    ("multiconfig: another board", "meta-micrun-rtos/conf/multiconfig/micrun-rtos.conf", "micrun-mps2-an385", "micrun-mps2-an386", "multiconfigs", "is not below"),
    ("multiconfig: nobody's", "kas/rtos/freertos.yml", '"micrun-freertos"', '"freertos"', "multiconfigs", "no file of kas/rtos"),
    ("append without condition", "dynamic-layers/virtualization-layer/recipes-containers/crun/crun_%.bbappend", 'CRUN_AS_RUNC ?= "true"', 'CRUN_AS_RUNC = ""', "appends", "changes CRUN_AS_RUNC"),
    ("append over the distro's value", "dynamic-layers/virtualization-layer/recipes-containers/crun/crun_%.bbappend", 'CRUN_AS_RUNC ?= "true"', 'CRUN_AS_RUNC = "true"', "appends", "distro's own"),
    ("kas: unknown key", "kas/debug.yml", "local_conf_header:", "local_conf_headers:", "kas-schema", "local_conf_headers"),
    ("kas: unknown layer", "kas/qemu-arm64.yml", "meta-micrun:", "meta-micron:", "kas-resolve", "no layer meta-micron"),
    ("kas: no pin", "kas/qemu-arm64.lock.yml", "    meta-openembedded:", "    meta-opened:", "kas-resolve", "not pinned"),
    ("downstream: another image", "kas/qemu-arm64.yml", "target: micrun-image", "target: core-image-minimal", "downstream", "target is"),
    ("menu: missing file", "Kconfig", "kas/debug.yml", "kas/debugging.yml", "menu", "there is no kas/debugging.yml"),
    ("workflow: unknown key", ".github/workflows/test.yml", "timeout-minutes:", "timeout-minute:", "actionlint", "timeout-minute"),
)


def reject(root, mutant):
    """Makes the mutant, and returns a problem unless its check rejects it for the reason that it has."""
    _, name, old, new, check, reason = mutant
    with tempfile.TemporaryDirectory(prefix="micrun-yocto-") as directory:
        copy = Path(directory)
        for entry in COPIED:
            source = root / entry
            (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / entry)
        for entry in LINKED:
            (copy / entry).symlink_to(root / entry)
        (copy / "tests").symlink_to(root / "tests")
        (copy / ".cache").symlink_to(root / ".cache")
        text = (copy / name).read_text()
        if old not in text:
            return [f"{name} has no {old!r} any more: the mutant is out of date"]
        (copy / name).write_text(text.replace(old, new, 1))
        command = [sys.executable, "-B", str(Path(__file__).parent), "--root", directory, "--only", check]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.stdout.startswith("SKIP"):
        raise Skip(done.stdout.splitlines()[0])
    if done.returncode == 0:
        return ["was not rejected"]
    return [] if reason in done.stdout else [f"was rejected for another reason than {reason!r}:\n{done.stdout}{done.stderr}"]
