"""Tests of lib/share.py, on package data as bitbake writes it."""

import contextlib
import io
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "lib"))

import share  # pylint: disable=wrong-import-position

PACKAGES = {
    "crun": ("crun", "libs", 300),
    "libseccomp2": ("libseccomp", "security", 100),
    "systemd": ("systemd", "prebuilt", 600),
}


class Share(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)
        (self.root / "runtime-reverse").mkdir()
        for name, (recipe, section, size) in PACKAGES.items():
            facts = f"PN: {recipe}\nPKG:{name}: {name}\nSECTION:{name}: {section}\nPKGSIZE:{name}: {size}\n"
            (self.root / "runtime-reverse" / name).write_text(facts)
        self.manifest = self.root / "image.manifest"
        self.manifest.write_text("".join(f"{name} cortexa57 1.0\n" for name in PACKAGES))

    def test_counts_packages_and_sizes(self):
        lines, shares = share.table(share.packages(self.manifest, self.root))
        self.assertEqual([round(it) for it in shares], [67, 40])
        self.assertEqual([line.split()[1] for line in lines if line.startswith("built")], ["crun", "libseccomp"])

    def test_the_goal_is_for_both(self):
        with contextlib.redirect_stdout(io.StringIO()) as said:
            self.assertFalse(share.main(self.manifest, self.root, "40"))
            self.assertTrue(share.main(self.manifest, self.root, "50"))
        self.assertIn("67 % of the packages, 40 % of their size", said.getvalue())

    def test_a_package_without_data_is_an_error(self):
        self.manifest.write_text("unknown cortexa57 1.0\n")
        with self.assertRaises(FileNotFoundError):
            share.main(self.manifest, self.root)
