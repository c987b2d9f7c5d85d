"""The crates that recipes pin: the lock files' ones, and to be had with their checksums."""

import subprocess
import sys
import tempfile

import bitbake
from bitbake import bb
from report import Skip

# Small, and in every lock file there will be.
PROBE = "cfg-if"


def pins(root):
    """The generated lists are what the lock files say."""
    done = subprocess.run([sys.executable, "-B", root / "tools/yocto-crates", "--check"], capture_output=True, text=True, check=False)
    return [done.stderr.strip() or f"exit status {done.returncode}"] if done.returncode else []


def fetch(root):
    """bitbake's fetcher downloads one crate and finds it has the pinned checksum."""
    with tempfile.TemporaryDirectory(prefix="micrun-yocto-") as downloads:
        data = bitbake.recipe(root, next(root.glob("recipes-containers/micrun/micrun_*.bb")), DL_DIR=downloads)[""]
        uri = next(uri for uri in data.getVar("SRC_URI").split() if f"/{PROBE}/" in uri)
        try:
            with bitbake.quiet():
                bb.fetch2.Fetch([uri], data).download()
        except bb.fetch2.ChecksumError as error:
            return [f"{uri}: {error}"]
        except bb.fetch2.BBFetchException as error:
            # bitbake tells a checksum that is wrong and a server that is away by the same exception at times.
            if "hecksum" in f"{error}{bitbake.said()}":
                return [f"{uri}: {error}\n{bitbake.said()}"]
            raise Skip(f"the registry cannot be reached: {uri}") from error
    return []
