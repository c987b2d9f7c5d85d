"""Checks of the layers' metadata, each by its root directory."""

import fnmatch
import hashlib
import re
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path

import yaml

import bitbake
from bitbake import bb

LAYERS = (".", "meta-micrun", "meta-micrun-rtos")
# Their recipes want files that only their own lanes have.
LANES = ("tests/yocto/meta-micrun-prebuilt", "tests/yocto/meta-micrun-mixed")
# Its recipe wants a program that was built elsewhere.
OPENEULER = "meta-micrun-openeuler"


def releases(root):
    """The releases that tests/yocto/releases reads the layers with."""
    return {path.name.removesuffix(".lock.yml") for path in root.glob("kas/release/*.lock.yml")}


def layers(root):
    """Every layer.conf parses, names its releases and its dependencies, and its patterns match its own recipes alone."""
    problems = []
    for name in (*LAYERS, *LANES, OPENEULER):
        path = (root / name).resolve()
        data = bitbake.layer(root, path)
        collection = data.getVar("BBFILE_COLLECTIONS").split()[-1]
        said = set((data.getVar(f"LAYERSERIES_COMPAT_{collection}") or "").split())
        if said != {**dict.fromkeys((*LANES, "meta-micrun-rtos"), {"wrynose"}), OPENEULER: {"scarthgap"}}.get(name, releases(root)):
            problems.append(f"{name}/conf/layer.conf: LAYERSERIES_COMPAT_{collection} does not name what kas/release has")
        if "core" not in (data.getVar(f"LAYERDEPENDS_{collection}") or "").split():
            problems.append(f"{name}/conf/layer.conf: LAYERDEPENDS_{collection} does not name core")
        pattern = re.compile(data.getVar(f"BBFILE_PATTERN_{collection}"))
        globs = data.getVar("BBFILES").split()
        found = [file for file in path.glob("recipes-*/*/*.bb") if any(fnmatch.fnmatch(str(file), glob) for glob in globs)]
        if not found:
            problems.append(f"{name}/conf/layer.conf: BBFILES finds no recipe")
        problems += [f"{name}/conf/layer.conf: BBFILE_PATTERN does not match {file}" for file in found if not pattern.match(str(file))]
    return problems


def recipes(root):
    """Every recipe of our layers."""
    places = (*LAYERS, "dynamic-layers/*")
    return sorted(file.resolve() for name in places for file in root.glob(f"{name}/recipes-*/*/*.bb"))


def parsed(root):
    """Pairs of a recipe's path and its datastore."""
    for path in recipes(root):
        yield path.relative_to(root), bitbake.recipe(root, path)[""]


def distribution(root):
    """The distro's configuration parses, and no recipe has the name of one of its overrides."""
    path = root / "meta-micrun/conf/distro/micrun.conf"
    data = bitbake.configuration(root, path)
    overrides = (data.getVar("DISTROOVERRIDES") or data.getVar("DISTRO")).split(":")
    names = {recipe.name.split("_")[0].removesuffix(".bb") for recipe in recipes(root)}
    problems = [f"{path}: the override {name} is a recipe's name: RDEPENDS:{name} would lose its package" for name in names.intersection(overrides)]
    if data.getVar("DISTRO_VERSION") != version(root):
        problems.append(f"{path}: DISTRO_VERSION is {data.getVar('DISTRO_VERSION')}, Cargo.toml says {version(root)}")
    return problems


def openeuler(root):
    """The recipe for openEuler parses with a program, and oebuild's feature names the layer and its packages."""
    with tempfile.TemporaryDirectory(prefix="micrun-yocto-") as directory:
        Path(directory, "containerd-shim-mica-v2").touch()
        path = next(root.glob(f"{OPENEULER}/recipes-*/*/*.bb"))
        data = bitbake.recipe(root, path, MICRUN_BIN_DIR=directory)[""]
        said = [*_identity(root, path, data), *_sources(data), *_functions(data)]
    problems = [f"{path.relative_to(root)}: {problem}" for problem in said]
    feature = yaml.safe_load((root / OPENEULER / "features/mcs/micrun-rs.yaml").read_text())
    if feature["config"]["layers"] != [f"micrun/{OPENEULER}"]:
        problems.append(f"the feature's layers are {feature['config']['layers']}")
    packages = bitbake.layer(root, root / OPENEULER).getVar("MICRUN_OPENEULER_PACKAGES")
    if packages != data.getVar("PN") or "${MICRUN_OPENEULER_PACKAGES}" not in "".join(feature["config"]["local_conf"]):
        problems.append(f"the feature does not install {data.getVar('PN')}")
    return problems


def version(root):
    """The version of the Cargo workspace."""
    return tomllib.loads((root / "Cargo.toml").read_text())["workspace"]["package"]["version"]


def every_recipe(root):
    """Every recipe parses; versions, licences, sources and functions are in order."""
    problems = []
    for path, data in parsed(root):
        said = [*_identity(root, path, data), *_sources(data), *_licences(root, data), *_workspace(root, data), *_firmware(root, data), *_functions(data)]
        problems += [f"{path}: {problem}" for problem in said]
    return problems


# What makes appends do all that they can.
SWITCHES = {"MICRUN_CONTAINERD": "small", "MICRUN_QEMU": "small", "MICRUN_QEMU_ALSO": "riscv64 riscv32"}


def appends(root):
    """Every append parses on a stand-in for its recipe; without our feature it changes nothing."""
    problems = []
    places = ("dynamic-layers/*/", "meta-micrun/", "")
    for path in sorted(path for place in places for path in root.glob(f"{place}recipes-*/*/*.bbappend")):
        stand_in = Path(bitbake.STUBS.name) / re.sub("_?%.bbappend", "_1.bb", path.name)
        stand_in.write_text('LICENSE = "MIT"\nSRC_URI = ""\nCRUN_AS_RUNC ?= "true"\n')
        plain = bitbake.recipe(root, stand_in, DISTRO_FEATURES="systemd", **SWITCHES)[""]
        without = bitbake.recipe(root, stand_in, [path], DISTRO_FEATURES="systemd", **SWITCHES)[""]
        with_feature = bitbake.recipe(root, stand_in, [path], **SWITCHES)[""]
        said = [*_sources(with_feature), *_functions(with_feature)]
        said += [f"changes {key} without the feature micrun" for key in _differences(plain, without)]
        own = bitbake.recipe(root, stand_in, [path], CRUN_AS_RUNC="false", **SWITCHES)[""]
        if own.getVar("CRUN_AS_RUNC") != "false":
            said.append("a distro's own CRUN_AS_RUNC is lost")
        problems += [f"{path.relative_to(root)}: {problem}" for problem in said]
    return problems


# Not part of any signature.
_IGNORED = {"BBINCLUDED", "FILESEXTRAPATHS"}


def _differences(before, after):
    keys = {key for key in {*before.keys(), *after.keys()} if not key.startswith("__") and key not in _IGNORED}
    return sorted(key for key in keys if before.getVar(key, False) != after.getVar(key, False))


def _identity(root, path, data):
    for key in ("SUMMARY", "DESCRIPTION", "LICENSE"):
        if not data.getVar(key):
            yield f"{key} is not set"
    # Recipes of the workspace and the driver carry its version.
    if "_0." in path.name and data.getVar("PV") != version(root):
        yield f"the file's version is {data.getVar('PV')}, Cargo.toml says {version(root)}"
    # What is linked in has a version of its own, for which CVE_PRODUCT has no place.
    for product in (data.getVar("CVE_PRODUCT") or "").split():
        if not product.startswith("micrun:"):
            yield f"CVE_PRODUCT gives {product} our version"


def _sources(data):
    """Local files are there, everything else has a revision or a SHA-256."""
    for uri in (data.getVar("SRC_URI") or "").split():
        if uri.startswith("file://"):
            name = uri.removeprefix("file://").split(";")[0]
            if not bb.utils.which(data.getVar("FILESPATH"), name):
                yield f"{uri} is not there"
            continue
        if uri.startswith("git://"):
            revision = data.getVar("SRCREV_" + dict(part.split("=") for part in uri.split(";")[1:]).get("name", ""))
            if not re.fullmatch("[0-9a-f]{40}", revision or ""):
                yield f"{uri} has no revision"
            continue
        fetched = bb.fetch2.FetchData(uri, data)
        if not getattr(fetched, "sha256_expected", None):
            yield f"{uri} has no SHA-256"


def _licences(root, data):
    """Checksums of licence files in this repository."""
    for entry in (data.getVar("LIC_FILES_CHKSUM") or "").split():
        name, _, parameters = entry.removeprefix("file://").partition(";")
        if "git://" in (data.getVar("SRC_URI") or ""):
            continue  # not at hand
        if name.startswith("/"):
            continue  # oe-core's, or a crate's
        places = [root / name, *(root / uri.removeprefix("file://").split(";")[0] / name for uri in data.getVar("SRC_URI").split())]
        file = next((place for place in places if place.is_file()), None)
        if file is None:
            yield f"LIC_FILES_CHKSUM: there is no {name}"
        elif f"md5={hashlib.md5(file.read_bytes()).hexdigest()}" not in parameters.split(";"):
            yield f"LIC_FILES_CHKSUM: {name} has another checksum"


def _workspace(root, data):
    """Whichever member of the workspace cargo builds, it reads the manifests of all."""
    if not data.getVar("CARGO_PACKAGE"):
        return
    names = [uri.removeprefix("file://").split(";")[0] for uri in data.getVar("SRC_URI").split() if uri.startswith("file://")]
    for member in tomllib.loads((root / "Cargo.toml").read_text())["workspace"]["members"]:
        if not any(f"{member}/Cargo.toml" == name or f"{member}/".startswith(f"{name}/") for name in names):
            yield f"SRC_URI does not bring {member}/Cargo.toml, a member of the workspace"
    if data.getVar("MICRUN_RUST") != tomllib.loads((root / "Cargo.toml").read_text())["workspace"]["package"]["rust-version"]:
        yield "MICRUN_RUST is not what Cargo.toml says"
    # Below a clone of this repository, its own .cargo/config.toml would decide.
    if data.getVar("CARGO_TARGET_DIR") != data.expand("${B}/target") or not data.getVarFlag("CARGO_TARGET_DIR", "export"):
        yield "cargo may build outside of B: CARGO_TARGET_DIR is not exported"


def _firmware(root, data):
    """make finds all that the demo firmware is made of among what SRC_URI brings; it compiles nothing."""
    sources = [uri.removeprefix("file://").split(";")[0] for uri in (data.getVar("SRC_URI") or "").split() if uri.startswith("file://tests/firmware/")]
    if not sources:
        return
    with tempfile.TemporaryDirectory(prefix="micrun-yocto-") as directory:
        for name in sources:
            copy = Path(directory, name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if (root / name).is_dir() else shutil.copy)(root / name, copy)
        Path(directory, ".complete").touch()
        images = [f"{directory}/{name}" for name in data.getVar("FIRMWARE").split()]
        command = ["make", "--dry-run", "-C", f"{directory}/tests/firmware", f"OUT={directory}", f"VENDOR={directory}", *images]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            yield f"its firmware cannot be made: {done.stderr.strip().replace(directory, '')}"


def _functions(data):
    """Shell functions are shell, Python functions compile."""
    for name in sorted(data.keys()):
        # Anonymous ones have run.
        if not data.getVarFlag(name, "func", False) or name.startswith("__anon"):
            continue
        body = data.getVar(name)
        if data.getVarFlag(name, "python", False):
            try:
                # A task is a body, a helper the whole function.
                whole = (body or "").startswith("def ")
                compile(body if whole else f"def {name.replace('-', '_').replace(':', '_')}(d):\n{body or ' pass'}\n", name, "exec")
            except SyntaxError as error:
                yield f"{name}: no Python: {error}"
        else:
            checked = subprocess.run(["sh", "-n"], input=body or "", text=True, capture_output=True, check=False)
            if checked.returncode:
                yield f"{name}: no shell: {checked.stderr.strip()}"
