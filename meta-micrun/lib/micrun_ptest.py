# SPDX-License-Identifier: MIT
"""What the smoke suite (tests/qemu/ptest/run-ptest) prints, as results. Knows nothing of oeqa, so it runs anywhere."""

import re

RUN_PTEST = "/usr/lib/micrun/ptest/run-ptest"

# Seconds for the whole suite in an emulated machine on a busy host.
TIMEOUT = 3000

_STATUS = {"PASS": "PASSED", "FAIL": "FAILED", "SKIP": "SKIPPED"}
_LINE = re.compile(r"(PASS|FAIL|SKIP): (\w+)(?: \((.*)\))?$")
_COUNTS = re.compile(r"(\d+) passed, (\d+) failed, (\d+) skipped$")


class SuiteError(Exception):
    """The output is not that of a suite that came to its end."""


def parse(output):
    """Returns {case: (status, log)}; status is PASSED, FAILED or SKIPPED, log a failure's lines or a skip's reason.

    Raises SuiteError if the last line's counts are missing or are not those of the cases: half a suite is no success.
    """
    results = {}
    counts = None
    last = None
    for line in (raw.rstrip("\r") for raw in output.splitlines()):
        found = _LINE.match(line)
        if found:
            word, last, reason = found.groups()
            if last in results:
                raise SuiteError(f"the case {last} was reported twice")
            results[last] = (_STATUS[word], reason or "")
        elif line.startswith("    | ") and last is not None:
            status, log = results[last]
            results[last] = (status, f"{log}{line[6:]}\n")
        elif found := _COUNTS.match(line):
            counts = tuple(int(number) for number in found.groups())
    if counts is None:
        raise SuiteError(f"the suite did not come to its end; its last output: {output[-500:]!r}")
    statuses = [status for status, _ in results.values()]
    told = tuple(statuses.count(status) for status in _STATUS.values())
    if told != counts or not results:
        raise SuiteError(f"the suite counted {counts} (passed, failed, skipped), its lines are {told}")
    return results


def run(target, timeout=TIMEOUT):
    """Runs the suite on an oeqa target and returns what parse() does, and the whole output.

    The exit status has to agree with the results: 0 if no case failed, 1 otherwise.
    """
    status, output = target.run(RUN_PTEST, timeout=timeout)
    results = parse(output)
    expected = 1 if any(result == "FAILED" for result, _ in results.values()) else 0
    if status != expected:
        raise SuiteError(f"the suite's exit status is {status}, not {expected}")
    return results, output
