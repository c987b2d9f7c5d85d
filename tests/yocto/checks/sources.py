"""Where recipes have their sources from (MICRUN_SRC): the layer's own repository, or another by git."""

import os
import subprocess
import tempfile
from pathlib import Path

import bitbake
import metadata
from bitbake import bb
from report import Skip

_COMMIT = "0" * 40


def _of_the_repository(root):
    """The recipes that are built from sources in this repository."""
    for path, data in metadata.parsed(root):
        if data.getVar("MICRUN_FILES"):
            yield path, data


def switched(root):
    """Each recipe that is built from the repository is so by git as well, with nothing else changed."""
    problems = []
    found = list(_of_the_repository(root))
    for path, layer in found:
        data = bitbake.recipe(root, root / path, MICRUN_SRC="git", MICRUN_GIT="git://example.com/micrun;branch=main", MICRUN_SRCREV=_COMMIT)[""]
        own = set(layer.expand(" ".join(f"file://{name};subdir=${{BP}}" for name in layer.getVar("MICRUN_FILES").split())).split())
        expected = set(layer.getVar("SRC_URI").split()) - own | {data.expand("git://example.com/micrun;branch=main;destsuffix=${BP}")}
        if set(data.getVar("SRC_URI").split()) != expected:
            problems.append(f"{path}: by git, SRC_URI is {data.getVar('SRC_URI')}")
        if data.getVar("SRCREV") != _COMMIT:
            problems.append(f"{path}: by git, SRCREV is {data.getVar('SRCREV')}")
        problems += [f"{path}: by git, {key} is another" for key in ("S", "PV", "LIC_FILES_CHKSUM") if data.getVar(key) != layer.getVar(key)]
    return problems if found else ["no recipe names MICRUN_FILES"]


def refused(root):
    """What MICRUN_SRC cannot be, and a git of which nothing is known, skips the recipe with a sentence."""
    path = root / next(_of_the_repository(root))[0]
    problems = []
    for variables, word in (
        ({"MICRUN_SRC": "hg"}, "not layer or git"),
        ({"MICRUN_SRC": "git", "MICRUN_SRCREV": _COMMIT}, "MICRUN_GIT"),
        ({"MICRUN_SRC": "git", "MICRUN_GIT": "git://example.com/micrun", "MICRUN_SRCREV": "v1.0"}, "all of its digits"),
    ):
        try:
            bitbake.recipe(root, path, **variables)
        except bitbake.BadMetadata as error:
            if word not in str(error):
                problems.append(f"{variables}: {error}")
        else:
            problems.append(f"{variables} was accepted")
    return problems


def fetched(root):
    """bitbake's fetcher gets this repository by git, and S has each file that a recipe reads."""
    with tempfile.TemporaryDirectory(prefix="micrun-yocto-") as directory:
        commit = _git(root, "rev-parse", "HEAD")
        # Its last commit, as a repository of its own. (A work tree may share its history with others.)
        _git(root, "clone", "--quiet", "--bare", "--depth=1", f"file://{root}", f"{directory}/micrun.git")
        variables = {
            "MICRUN_SRC": "git",
            "MICRUN_GIT": f"git://{directory}/micrun.git;protocol=file;nobranch=1",
            "MICRUN_SRCREV": commit,
            "DL_DIR": f"{directory}/downloads",
        }
        problems = []
        for path, _ in _of_the_repository(root):
            data = bitbake.recipe(root, root / path, **variables)[""]
            data.setVar("PATH", os.environ["PATH"])
            data.setVar("PERSISTENT_DIR", f"{directory}/cache")
            data.setVar("UNPACKDIR", f"{directory}/{path.stem}")
            uri = next(uri for uri in data.getVar("SRC_URI").split() if uri.startswith("git://"))
            try:
                with bitbake.quiet():
                    fetcher = bb.fetch2.Fetch([uri], data)
                    fetcher.download()
                    fetcher.unpack(data.getVar("UNPACKDIR"))
            except bb.fetch2.BBFetchException as error:
                return [f"{path}: {error}\n{bitbake.said()}"]
            source = Path(data.expand("${UNPACKDIR}/${BP}"))
            problems += [f"{path}: there is no {name}" for name in data.getVar("MICRUN_FILES").split() if not (source / name).exists()]
        return problems


def _git(root, *words):
    # The clone may be another user's.
    done = subprocess.run(["git", "-c", "safe.directory=*", "-C", root, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Skip(f"this is no clone: {done.stderr.strip()}")
    return done.stdout.strip()
