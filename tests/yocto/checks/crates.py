"""The crates that recipes pin: the lock files' ones, and to be had with their checksums."""

import subprocess
import sys

import bitbake
import metadata
from bitbake import bb
from report import Skip


def pins(root):
    """The generated lists are what the lock files say."""
    done = subprocess.run([sys.executable, "-B", root / "tools/yocto-crates", "--check"], capture_output=True, text=True, check=False)
    return [done.stderr.strip() or f"exit status {done.returncode}"] if done.returncode else []


def fetch(root):
    """bitbake's fetcher downloads each crate of each recipe, and finds that it has the pinned checksum."""
    # What is there is not downloaded again, but its checksum is compared with the recipe's.
    downloads = root / ".cache/yocto-downloads"
    problems = []
    fetched = set()
    for path, data in metadata.parsed(root):
        uris = [uri for uri in (data.getVar("SRC_URI") or "").split() if uri.startswith("crate://") and uri not in fetched]
        fetched.update(uris)
        data.setVar("DL_DIR", str(downloads))
        for uri in uris:
            problem = _download(uri, data)
            if problem:
                problems.append(f"{path}: {uri}: {problem}")
    return problems if fetched else ["no recipe has crates"]


def _download(uri, data):
    """What is wrong with a crate."""
    try:
        with bitbake.quiet():
            bb.fetch2.Fetch([uri], data).download()
    except bb.fetch2.ChecksumError as error:
        return error
    except bb.fetch2.BBFetchException as error:
        # bitbake tells a checksum that is wrong and a server that is away by the same exception at times.
        if "hecksum" in f"{error}{bitbake.said()}":
            return f"{error}\n{bitbake.said()}"
        raise Skip(f"the registry cannot be reached: {uri}") from error
    return None
