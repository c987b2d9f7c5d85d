# SPDX-License-Identifier: MIT
"""The smoke suite of micrun on the booted image; each of its cases is a result of its own."""

import sys
from pathlib import Path

from oeqa.core.case import OEPTestResultTestCase
from oeqa.runtime.case import OERuntimeTestCase
from oeqa.runtime.decorator.package import OEHasPackage

# oeqa finds cases by their path; what they import has to be found too.
sys.path.append(str(Path(__file__).resolve().parents[3]))
import micrun_ptest  # pylint: disable=wrong-import-position


class MicrunTest(OERuntimeTestCase, OEPTestResultTestCase):
    """Needs a running system only: no network, so that a serial console does as well as ssh."""

    @OEHasPackage(["micrun-ptest"])
    def test_smoke_suite(self):
        results, output = micrun_ptest.run(self.target)
        self.ptest_section("micrun", log=output)
        for case, (status, log) in results.items():
            self.ptest_result("micrun", case, status)
            self.logger.info("%s: %s %s", case, status, log)
        failed = {case: log for case, (status, log) in results.items() if status == "FAILED"}
        self.assertFalse(failed, "\n".join(f"{case}:\n{log}" for case, log in failed.items()))
