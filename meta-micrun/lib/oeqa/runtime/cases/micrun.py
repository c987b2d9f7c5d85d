# SPDX-License-Identifier: MIT
"""The smoke suite of micrun on the booted image; each of its cases is a result of its own."""

import sys
from pathlib import Path

from oeqa.core.case import OEPTestResultTestCase
from oeqa.core.decorator.depends import OETestDepends
from oeqa.runtime.case import OERuntimeTestCase
from oeqa.runtime.decorator.package import OEHasPackage

# oeqa finds cases by their path; what they import has to be found too.
sys.path.append(str(Path(__file__).resolve().parents[3]))
import micrun_ptest  # pylint: disable=wrong-import-position


class MicrunTest(OERuntimeTestCase, OEPTestResultTestCase):
    """Needs a running system only: no network, so that a serial console does as well as ssh."""

    def run_on_target(self, command):
        """Runs a command that has to succeed, and returns its output."""
        status, output = self.target.run(command)
        self.assertEqual(status, 0, f"{command}: {output}")
        return output

    def test_boot_completes(self):
        # A prompt may come long before the daemons are up. sysvinit starts them before its gettys.
        if "systemd" not in self.td["DISTRO_FEATURES"].split():
            return
        _, state = self.target.run("systemctl is-system-running --wait", timeout=600)
        failed = self.run_on_target("systemctl --no-pager list-units --failed --no-legend --plain")
        self.assertEqual((state.strip(), failed.strip()), ("running", ""))

    @OETestDepends(["micrun.MicrunTest.test_boot_completes"])
    @OEHasPackage(["micrun-sensor"])
    def test_firmware_starts_at_boot(self):
        if "systemd" not in self.td["DISTRO_FEATURES"].split():
            return
        self.run_on_target("systemctl is-active firmware-sensor")
        # The firmware itself may still come up. What a terminal prints is binary to the journal.
        journal = "journalctl --boot --unit firmware-sensor --no-pager --quiet --output export | tr -d '\\000'"
        find = "awk -F= '$1 == \"__MONOTONIC_TIMESTAMP\" { time = $2 } /help lists the commands/ { print time; exit }'"
        wait = f"for second in $(seq 120); do shown=$({journal} | {find}); [ -z \"$shown\" ] || break; sleep 1; done"
        shown = int(self.run_on_target(f'{wait}; echo "$shown"'))
        ready = int(self.run_on_target("systemctl --no-pager show --property ActiveEnterTimestampMonotonic --value containerd"))
        self.logger.info("first prompt of an RTOS: %.1f s after containerd was up", (shown - ready) / 1e6)
        self.assertLess(ready, shown)

    @OETestDepends(["micrun.MicrunTest.test_boot_completes"])
    @OEHasPackage(["micrun-preload"])
    def test_images_are_preloaded(self):
        archives = self.run_on_target("ls /usr/share/micrun/images").split()
        images = self.run_on_target("ctr image ls -q").split()
        self.assertEqual(sorted(archives), sorted(f"{image.rsplit('/', 1)[1].split(':')[0]}.tar" for image in images))

    @OETestDepends(["micrun.MicrunTest.test_boot_completes"])
    @OEHasPackage(["micrun-ptest"])
    def test_smoke_suite(self):
        results, output = micrun_ptest.run(self.target)
        self.ptest_section("micrun", log=output)
        for case, (status, log) in results.items():
            self.ptest_result("micrun", case, status)
            self.logger.info("%s: %s %s", case, status, log)
        failed = {case: log for case, (status, log) in results.items() if status == "FAILED"}
        self.assertFalse(failed, "\n".join(f"{case}:\n{log}" for case, log in failed.items()))
