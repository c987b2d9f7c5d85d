#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""spdx.py DEPLOY TREE - is what bitbake states of our recipes in SPDX 3 true, and all of it there?

DEPLOY is bitbake's deploy/spdx/3.0.1, TREE this repository. Prints a line for each binary package.
"""

import json
import re
import sys
import tomllib
from pathlib import Path


def elements(document, kind):
    """The elements of a type in a document."""
    return [element for element in json.loads(document.read_text())["@graph"] if element["type"] == kind]


def recipe_text(path, tree):
    """A recipe, after what it requires."""
    text = path.read_text()
    required = re.findall(r"^require (\S+\.inc)$", text, re.MULTILINE)
    return "\n".join([*((tree / name).read_text() for name in required), text])


def licence(text):
    """A recipe's licence, as SPDX writes it."""
    parts = re.findall(r'^LICENSE(?::append)? = "(.*)"$', text, re.MULTILINE)
    return "".join(parts).replace("&", "AND")


def check_package(document, versions):
    """A binary package goes by our names alone: its version is ours, and would be wrong for any other product.

    Gives the recipe that it comes from.
    """
    [package] = elements(document, "software_Package")
    names = {"packageUrl": [], "cpe23": []}
    for identifier in package["externalIdentifier"]:
        names[identifier["externalIdentifierType"]].append(identifier["identifier"])
    [purl] = names["packageUrl"]
    recipe, version = re.fullmatch(r"pkg:yocto/micrun/([^@]+)@(.+)", purl).groups()
    assert version == package["software_packageVersion"] == versions[recipe], f"{purl} is not {versions[recipe]}"
    vendors = {cpe.split(":")[3] for cpe in names["cpe23"]}
    assert vendors <= {"micrun", "*"}, f"{purl} is called {names['cpe23']}"
    print(package["name"], purl, *names["cpe23"])
    return recipe


def check_build(document, text, crates):
    """A recipe's build: its licence, and of a Cargo recipe every crate with its checksum."""
    expressions = elements(document, "simplelicensing_LicenseExpression")
    stated = {expression["simplelicensing_licenseExpression"] for expression in expressions}
    assert licence(text) in stated, f"{document}: {stated}, not {licence(text)}"
    if "inherit cargo" in text:
        sources = elements(document, "software_Package")
        stated = {source["name"]: source["verifiedUsing"][0]["hashValue"] for source in sources}
        assert stated == crates, f"{document}: {set(stated.items()) ^ set(crates.items())}"


def main(deploy, tree):
    """Reads them all."""
    with open(tree / "Cargo.lock", "rb") as file:
        locked = tomllib.load(file)["package"]
    crates = {f"{crate['name']}-{crate['version']}.crate": crate["checksum"] for crate in locked if "checksum" in crate}
    versions, packaged = {}, set()
    for path in sorted(tree.glob("recipes-*/*/*.bb")):
        name, _, version = path.stem.partition("_")
        versions[name] = version or "1.0"
        text = recipe_text(path, tree)
        if "nopackages" not in text:
            packaged.add(name)
        [document] = deploy.glob(f"*/builds/build-{name}.spdx.json")
        check_build(document, text, crates)
    documents = sorted(deploy.glob("*/packages/package-*.spdx.json"))
    found = {check_package(document, versions) for document in documents}
    assert found == packaged, f"packages of {found}, not of {packaged}"


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
