#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""sbom.py MANIFEST SBOM - does an image's file of SPDX 3 have each package of the image?"""

import json
import sys
from pathlib import Path


def main(manifest, sbom):
    """Compares them."""
    elements = json.loads(Path(sbom).read_text())["@graph"]
    packages = {it["name"] for it in elements if it["type"] == "software_Package" and it.get("software_primaryPurpose") == "install"}
    installed = {line.split()[0] for line in Path(manifest).read_text().splitlines()}
    print(f"{len(packages)} packages in the SBOM, {len(installed)} in the image")
    missing = installed - packages
    assert not missing, f"the SBOM lacks {sorted(missing)}"


if __name__ == "__main__":
    main(*sys.argv[1:])
