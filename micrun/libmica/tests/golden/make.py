#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the golden vectors: an encoder of the mica protocol that shares nothing with libmica.

usage: make.py DIR

create.json describes the messages of create-<case>.bin, status.json the fields of status lines.
"""
import json
import pathlib
import struct
import sys

# struct create_msg of openEuler's micad since commit d92d0cb, native alignment.
CREATE = "66s256s16s256s?128siiiiii512s512s"
TEXT = ("name", "path", "pedestal", "pedestal_conf", "cpu", "iomem", "network")

CASES = {
    # What upstream's `mica` command sends: -1 for an integer that is not in the file.
    "upstream-command": dict(name="zephyr", path="/lib/firmware/zephyr.elf", cpu="3", vcpus=-1, max_vcpus=-1,
                             cpu_weight=-1, cpu_capacity=-1, memory=-1, max_memory=-1),
    # What upstream's shim sends: 0 for what it does not know, max_memory = memory.
    "upstream-shim": dict(name="a" * 64, path="/run/micrun/containers/x/firmware.elf", pedestal="xen",
                          pedestal_conf="/run/micrun/containers/x/image.bin", cpu="1-2", vcpus=2, max_vcpus=8,
                          cpu_weight=100, cpu_capacity=150, memory=64, max_memory=64),
    # Every field set, each to another value.
    "all-fields": dict(name="all", path="/p", pedestal="qemu", pedestal_conf="/c.conf", debug=True, cpu="0,2",
                       vcpus=1, max_vcpus=2, cpu_weight=3, cpu_capacity=4, memory=5, max_memory=6,
                       iomem="0xff000,1@0x1", network="bridge=br0"),
    # Every text as long as it may be, integers at their ends.
    "limits": dict(name="n" * 65, path="/" + "p" * 254, pedestal="e" * 15, pedestal_conf="/" + "c" * 254,
                   debug=True, cpu="5" * 127, vcpus=2**31 - 1, max_vcpus=-2**31, cpu_weight=65535,
                   cpu_capacity=0x01020304, memory=-2, max_memory=0x7EADBEEF, iomem="i" * 511, network="w" * 511),
}

STATES = ("Offline", "Configured", "Ready", "Running", "Suspended", "Error", "Stopped")
SERVICES = ("", "rpmsg-tty(/dev/ttyRPMSG0) ", "rpmsg-tty(/run/mica/ttyRPMSG_a_b_0) rpmsg-rpc rpmsg-umt ",
            "debug-rtos-kernel ")


def create(case):
    full = dict.fromkeys(TEXT, "") | dict(debug=False, vcpus=0, max_vcpus=0, cpu_weight=0, cpu_capacity=0,
                                          memory=0, max_memory=0) | case
    raw = {key: value.encode() if key in TEXT else value for key, value in full.items()}
    order = ("name", "path", "pedestal", "pedestal_conf", "debug", "cpu", "vcpus", "max_vcpus", "cpu_weight",
             "cpu_capacity", "memory", "max_memory", "iomem", "network")
    return full, struct.pack(CREATE, *(raw[key] for key in order))


def shown(name):
    return name if len(name) <= 31 else name[:12] + "..." + name[-1]


def status_lines():
    for length in range(1, 66):
        name = ("client-" * 10)[: length - 1] + "Z"
        for cpu in ("", "3", "0-3,5", "12345678901234567890", "1,2,3,4,5,6,7,8,9,10,11"):
            state = STATES[(length + len(cpu)) % len(STATES)]
            services = SERVICES[(length + len(cpu)) % len(SERVICES)]
            line = "%-30s%-20s%-20s%s" % (shown(name), cpu, state, services)
            yield dict(name=name, cpu=cpu, state=state, services=services, line=line)


def main():
    out = pathlib.Path(sys.argv[1])
    described = {}
    for name, case in CASES.items():
        described[name], message = create(case)
        (out / f"create-{name}.bin").write_bytes(message)
    (out / "create.json").write_text(json.dumps(described, indent=1) + "\n")
    (out / "status.json").write_text(json.dumps(list(status_lines()), indent=0) + "\n")


if __name__ == "__main__":
    main()
