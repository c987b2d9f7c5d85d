"""A containerd and a micad that have nothing, in namespaces of their own: for scripts that run commands as a user does."""

import os
import sys
import time
from pathlib import Path
from subprocess import Popen

ROOT = Path(__file__).resolve().parents[3]
STATE = Path("/run/micrun-test")
SOCKETS = ("/run/containerd/containerd.sock", "/run/mica/mica-create.socket")
BOUND = 120  # seconds until a daemon listens, on a machine that stalls


def enter(script):
    """Runs this script again inside, unless it is there, with the programs that `cargo build` has made."""
    if os.environ.get("MICRUN_TEST_ISOLATED") != "1":
        os.execv(ROOT / "tests/host/isolated", ["isolated", *sys.argv])
    os.environ["PATH"] = f"{ROOT / 'target/debug'}:{os.environ['PATH']}"
    # crun refuses the hybrid layout of cgroups, which this machine may have.
    os.environ["MICRUN_LINUX_RUNTIME"] = "runc"
    daemons(script)


def daemons(script):
    """Starts containerd and micad, and waits until they listen."""
    STATE.mkdir(parents=True, exist_ok=True)
    for command in (["containerd", "--config", ROOT / "tests/host/containerd.toml"], ["micad"]):
        log = (STATE / f"{command[0]}.log").open("w")
        Popen(command, stdout=log, stderr=log)
    end = time.monotonic() + BOUND
    while not all(map(os.path.exists, SOCKETS)):
        if time.monotonic() > end:
            sys.exit(f"{script}: a daemon did not start:\n{logs()}")
        time.sleep(0.05)


def logs():
    """What the daemons have said last."""
    return "\n".join(log.read_text()[-2000:] for log in STATE.glob("*.log"))
