"""Checks of the Yocto layers that need package registries alone. tests/yocto/static runs it."""

import argparse
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import bitbake  # pylint: disable=wrong-import-position
import crates
import images
import kasfiles
import kernel
import lint
import metadata
import mutants
import sources
import store
from report import Report

NOT_CHECKED = """Not checked here, for want of oe-core: whether its classes accept the recipes, dependencies between recipes, packages
and their QA, the task graph, images. `make yocto` does, where bitbake and oe-core can be reached."""


def oeqa(root):
    """The unit tests of the oeqa case; the case itself compiles."""
    case = root / "meta-micrun/lib/oeqa/runtime/cases/micrun.py"
    compile(case.read_text(), str(case), "exec")
    sys.path.insert(0, str(root / "meta-micrun/lib"))
    return unit_tests("test_oeqa")


def share(_root):
    """What counts the recipes of the mixed lane."""
    return unit_tests("test_share")


def unit_tests(name):
    """A module's tests; what fails is a problem."""
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromName(name).run(result)
    if not result.testsRun:
        return ["there are no tests"]
    return [trace for _, trace in result.errors + result.failures]


# Each with the name by which --only finds it.
CHECKS = {
    "layers": ("layer.conf of both layers", metadata.layers),
    "distribution": ("the distro's configuration", metadata.distribution),
    "recipes": ("every recipe: syntax, classes, sources, licences, functions", metadata.every_recipe),
    "switched": ("sources by git in the place of the layer's", sources.switched),
    "refused": ("sources from nowhere", sources.refused),
    "git": ("sources fetched by bitbake from a git repository", sources.fetched),
    "appends": ("every append; none changes anything without our feature", metadata.appends),
    "openeuler": ("the layer and the feature for openEuler", metadata.openeuler),
    "pins": ("crates are those of Cargo.lock", crates.pins),
    "fetch": ("every crate downloaded by bitbake's fetcher, checksums right", crates.fetch),
    "kas-schema": ("kas files are valid", kasfiles.schema),
    "kas-resolve": ("kas files resolve, everything pinned", kasfiles.resolve),
    "downstream": ("a project that includes ours by kas", kasfiles.downstream),
    "menu": ("kas menu", kasfiles.menu),
    "oelint": ("oelint-adv", lint.oelint),
    "oeqa": ("oeqa case, with a target that plays back", oeqa),
    "kernel": ("kernel fragments have symbols of a kernel", kernel.symbols),
    "kconfig": ("kernel fragments survive in kernels' own Kconfig", kernel.survive),
    "store": ("containerd's store, filled without containerd", store.filled),
    "plain": ("layers that are left to the first container", store.left),
    "archives": ("archives that are not what they say", store.refused),
    "pack": ("how images are packed, with firmware of another multiconfig", images.packed),
    "multiconfigs": ("multiconfigs and their firmware", images.multiconfigs),
    "units": ("units of images that start at boot", store.units),
    "share": ("count of real recipes", share),
    "workflows": ("hosted workflows run make targets alone", lint.workflows),
    "actionlint": ("actionlint", lint.actionlint),
}


def guarded(check, *arguments):
    """A check; that bitbake rejects a file is a problem like others."""
    try:
        return check(*arguments)
    except bitbake.BadMetadata as error:
        return [error]


def main():
    """Runs all checks and all mutants, or one check."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[3])
    parser.add_argument("--only", choices=CHECKS)
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    report = Report()
    for name, (title, check) in CHECKS.items():
        if arguments.only in (None, name):
            report.run(title, guarded, check, root)
    if arguments.only is None:
        for mutant in mutants.MUTANTS:
            report.run(f"mutant rejected: {mutant[0]}", mutants.reject, root, mutant)
        print(NOT_CHECKED)
    return report.close()


sys.exit(main())
