#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What upstream's `mica` command does, written anew from the protocol's description: 5 s timeout, chunks of
512 bytes, the text before the marker is the message. Knows nothing of libmica.

usage: upstream_client.py RUNTIME_DIR FIRMWARE
"""
import os
import socket
import struct
import sys

CREATE = "66s256s16s256s?128siiiiii512s512s"


def talk(path, message):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(5.0)
        peer.connect(path)
        peer.send(message)
        received = ""
        while True:
            chunk = peer.recv(512)
            if not chunk:
                sys.exit(f"closed without a marker: {received!r}")
            received += chunk.decode()
            if "MICA-FAILED" in received:
                return False, received.split("MICA-FAILED")[0]
            if "MICA-SUCCESS" in received:
                return True, received.split("MICA-SUCCESS")[0]


def expect(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: got {got!r}, wanted {wanted!r}")


def main():
    run, firmware = sys.argv[1:]
    create = os.path.join(run, "mica-create.socket")
    control = os.path.join(run, "rtos.socket")
    message = struct.pack(CREATE, b"rtos", firmware.encode(), b"", b"", False, b"3", -1, -1, -1, -1, -1, -1, b"", b"")
    expect("create", talk(create, message), (True, ""))
    expect("create again", talk(create, message), (False, "rtos is already created"))
    if not os.path.exists(control):
        sys.exit("no control socket")
    expect("status", talk(control, b"status"), (True, "%-30s%-20s%-20s%s" % ("rtos", "3", "Offline", "")))
    expect("start", talk(control, b"start"), (True, ""))
    tty = os.path.join(run, "ttyRPMSG_rtos_0")
    line = "%-30s%-20s%-20s%s" % ("rtos", "3", "Running", f"rpmsg-tty({tty}) ")
    expect("status", talk(control, b"status"), (True, line))
    expect("set", talk(control, b"set Memory 64")[0], False)
    expect("gdb", talk(control, b"gdb")[0], False)
    expect("unknown", talk(control, b"dance"), (False, "Invalid command: dance"))
    expect("stop", talk(control, b"stop"), (True, ""))
    expect("rm", talk(control, b"rm"), (True, ""))
    if os.path.exists(control):
        sys.exit("the control socket is still there")


if __name__ == "__main__":
    main()
