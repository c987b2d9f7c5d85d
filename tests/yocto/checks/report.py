"""What checks answer, and how it is counted."""


class Skip(Exception):
    """A check that cannot be made here; the text says why."""


class Report:
    """Prints one line a check, and counts."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def run(self, name, check, *arguments):
        """Runs a check: it returns a list of problems, which is empty if all is well, or raises Skip."""
        try:
            problems = check(*arguments)
        except Skip as reason:
            self.skipped += 1
            print(f"SKIP: {name} ({reason})", flush=True)
            return
        if problems:
            self.failed += 1
            print(f"FAIL: {name}", flush=True)
            for problem in problems:
                print("\n".join(f"    | {line}" for line in str(problem).splitlines()), flush=True)
        else:
            self.passed += 1
            print(f"PASS: {name}", flush=True)

    def close(self):
        """Prints the counts and returns the exit status."""
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        return 1 if self.failed else 0
