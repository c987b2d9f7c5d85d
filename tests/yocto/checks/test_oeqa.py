"""Unit tests of the oeqa case's plain part, with a target that plays the suite's output back."""

import unittest

import micrun_ptest

GOOD = """PASS: kernel_has_overlayfs
SKIP: baremetal_exit_status (no remote processor in /sys/class/remoteproc)
PASS: exit_7_is_7
2 passed, 0 failed, 1 skipped
"""
BAD = """PASS: kernel_has_overlayfs
FAIL: exit_7_is_7
    | failed: the exit status is '0', not '7'
    | --- out:
1 passed, 1 failed, 0 skipped
"""


class Target:
    """An oeqa target that knows one command."""

    def __init__(self, status, output):
        self.status, self.output, self.calls = status, output, []

    def run(self, command, timeout=None):
        self.calls.append((command, timeout))
        return self.status, self.output


class Parse(unittest.TestCase):
    def test_each_line_is_a_result(self):
        results = micrun_ptest.parse(GOOD)
        self.assertEqual(results["kernel_has_overlayfs"], ("PASSED", ""))
        self.assertEqual(results["exit_7_is_7"], ("PASSED", ""))
        self.assertEqual(results["baremetal_exit_status"][0], "SKIPPED")
        self.assertIn("no remote processor", results["baremetal_exit_status"][1])

    def test_a_failure_brings_its_log(self):
        status, log = micrun_ptest.parse(BAD)["exit_7_is_7"]
        self.assertEqual(status, "FAILED")
        self.assertEqual(log, "failed: the exit status is '0', not '7'\n--- out:\n")

    def test_a_serial_console_ends_lines_its_own_way(self):
        self.assertEqual(micrun_ptest.parse(GOOD.replace("\n", "\r\n")), micrun_ptest.parse(GOOD))

    def test_other_output_is_no_result(self):
        noisy = "[   12.3] PASS: no line of the suite\n" + GOOD
        self.assertEqual(micrun_ptest.parse(noisy), micrun_ptest.parse(GOOD))

    def test_half_a_suite_is_an_error(self):
        for output in ("", "PASS: one\n", "0 passed, 0 failed, 0 skipped\n", "PASS: one\n2 passed, 0 failed, 0 skipped\n"):
            with self.subTest(output), self.assertRaises(micrun_ptest.SuiteError):
                micrun_ptest.parse(output)

    def test_a_case_has_one_result(self):
        with self.assertRaises(micrun_ptest.SuiteError):
            micrun_ptest.parse("PASS: one\nFAIL: one\n1 passed, 1 failed, 0 skipped\n")


class Run(unittest.TestCase):
    def test_the_installed_suite_is_run_with_patience(self):
        target = Target(0, GOOD)
        results, output = micrun_ptest.run(target)
        self.assertEqual(target.calls, [("/usr/lib/micrun/ptest/run-ptest", micrun_ptest.TIMEOUT)])
        self.assertEqual((len(results), output), (3, GOOD))

    def test_failed_cases_are_results_not_errors(self):
        results, _ = micrun_ptest.run(Target(1, BAD))
        self.assertEqual(results["exit_7_is_7"][0], "FAILED")

    def test_an_exit_status_that_disagrees_is_an_error(self):
        for status, output in ((1, GOOD), (0, BAD), (127, GOOD)):
            with self.subTest(status=status), self.assertRaises(micrun_ptest.SuiteError):
                micrun_ptest.run(Target(status, output))
