#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""cve.py SBOM-CVE-CHECK SBOM WORK - are known vulnerabilities found by what bitbake states of an image?

The first is the program of that name, SBOM the image's file of SPDX 3. The databases of real vulnerabilities have several
GB (kas/cve-check.yml brings them); the one here has a few entries, in WORK, each with what is to become of it.
"""

import json
import subprocess
import sys
from pathlib import Path

# Identifier, CPE's vendor and product, its versions, and the status of each package that it concerns.
ENTRIES = (
    # Made up: what would be our own.
    ("CVE-2099-10001", "micrun:micad", {"versionEndIncluding": "0.1.0"}, "Unpatched"),
    ("CVE-2099-10002", "micrun:micrun", {"versionStartIncluding": "9.0"}, "Patched"),
    # Another vendor's product of the name is not ours.
    ("CVE-2099-10003", "gnu:micad", {"versionEndIncluding": "99"}, None),
    # Real ones, mended before the versions in the image.
    ("CVE-2025-24965", "crun_project:crun", {"versionEndExcluding": "1.20"}, "Patched"),
    ("CVE-2022-23648", "linuxfoundation:containerd", {"versionEndExcluding": "1.6.1"}, "Patched"),
)


def write_database(directory):
    """A git repository as nvd-fkie's, which the program fetches from."""
    for identifier, product, versions, _ in ENTRIES:
        path = directory / "-".join(identifier.split("-")[:2]) / f"{identifier[:-2]}xx" / f"{identifier}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        match = {"vulnerable": True, "criteria": f"cpe:2.3:a:{product}:*:*:*:*:*:*:*:*", **versions}
        entry = {
            "id": identifier,
            "vulnStatus": "Analyzed",
            "descriptions": [{"lang": "en", "value": f"of {product}"}],
            "configurations": [{"nodes": [{"operator": "OR", "negate": False, "cpeMatch": [match]}]}],
        }
        path.write_text(json.dumps(entry))
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    for words in (["init", "--quiet"], ["add", "."], [*identity, "commit", "--quiet", "--message", "entries"]):
        subprocess.run(["git", "-C", directory, *words], check=True)


def main(program, sbom, work):
    """Checks the SBOM, and what is said of it."""
    upstream, database, report = work / "upstream", work / "database", work / "report.json"
    upstream.mkdir(parents=True)
    write_database(upstream)
    subprocess.run(["git", "clone", "--quiet", upstream, database], check=True)
    command = [program, "--ignore-default-config", "--databases-dir", work, "--disable-auto-updates", "--sbom-path", sbom]
    command += ["--add-db", "cve-db-nvd-fkie", database, "--export-type", "yocto-cve-check-manifest", "--export-path", report]
    subprocess.run(command, check=True)
    said = {}
    for package in json.loads(report.read_text())["package"]:
        for issue in package["issue"]:
            print(package["name"], package["version"], issue["id"], issue["status"])
            said.setdefault(issue["id"], set()).add(issue["status"])
    expected = {identifier: {status} for identifier, _, _, status in ENTRIES if status}
    # The recipes themselves say of others that they are patched, or no concern.
    counted = {identifier: status for identifier, status in said.items() if identifier in expected or status - {"Patched", "Ignored"}}
    assert counted == expected, f"{counted}, not {expected}"


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
