# SPDX-License-Identifier: Apache-2.0
"""Runs the FreeRTOS demo on a spare core beside Linux: the real driver, in QEMU.

Usage: spare_core.py IMAGE MICA_IMAGE KERNEL [CASE...]. The second image calls Linux as MICA firmware does. KERNEL is a directory that
tests/qemu/kernel/build made; without it all is skipped. Boots two machines, whose consoles stay beside the image in spare-core-*.log:

  el1      the core starts at EL1; firmware that ignores requests cannot be stopped
  monitor  the core starts at EL2, where the driver's monitor stays

MICRUN_ZEPHYR_ELF and MICRUN_UNIPROTON_ELF name firmware of others, linked for the same memory, to be checked too.
"""

import os
import pathlib
import re
import subprocess
import sys
import threading

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
INITRAMFS = REPOSITORY / "drivers/mica_rproc/test/initramfs.py"
GUEST = pathlib.Path(__file__).with_name("guest")
BOOT_LIMIT = 900  # seconds; a suite takes about 120 on an idle host

# Linux keeps off the memory from 0x70000000 on.
DRIVER = "cpu=3 rmem_base=0x70000000,0x7a000000 rmem_size=0x40000,0x1000000"
MACHINES = {
    "el1": ("virt,gic-version=3", DRIVER),
    "monitor": ("virt,gic-version=3,virtualization=on", DRIVER + " monitor_base=0x7c000000"),
}
FOREIGN = {"zephyr": "MICRUN_ZEPHYR_ELF", "uniproton": "MICRUN_UNIPROTON_ELF"}


def firmware(images):
    """The files of /lib/firmware."""
    for image in images:
        yield image.name, image
    for name, variable in FOREIGN.items():
        if path := os.environ.get(variable):
            yield f"{name}.elf", pathlib.Path(path)


def pack(images, kernel, out):
    """Writes the machines' initramfs."""
    release = (kernel / "version").read_text().strip()
    entries = [f"{name}/" for name in ["bin", "dev", "etc", "lib", "lib/firmware", "modules", "proc", "sys", "tmp"]]
    entries += [f"bin/busybox={kernel}/busybox", f"init={GUEST}/init"]
    entries += [f"etc/{name}={GUEST}/{name}" for name in ["lib", "demo", "foreign"]]
    entries += [f"modules/{file.name}={file}" for file in (kernel / "extra").iterdir()]
    entries += [f"modules/rpmsg_core.ko={file}" for file in (kernel / "modules" / release).rglob("rpmsg_core.ko*")]
    entries += [f"lib/firmware/{name}={file}" for name, file in firmware(images)]
    subprocess.run([sys.executable, "-B", INITRAMFS, out, *entries], check=True)


def run(name, kernel, initramfs, cases, log, results):
    """Boots a machine; prints the lines of its cases as they come."""
    machine, parameters = MACHINES[name]
    process = subprocess.Popen(
        ["qemu-system-aarch64", "-M", machine, "-cpu", "cortex-a57", "-smp", "4", "-m", "2048", "-nodefaults",
         "-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", kernel / "Image", "-initrd", initramfs,
         "-append", f"console=ttyAMA0 loglevel=1 panic=-1 maxcpus=3 mem=768M cases={','.join(cases)} driver={parameters}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    limit = threading.Timer(BOOT_LIMIT, process.kill)
    limit.start()
    ended = False
    with open(log, "w", encoding="utf-8") as file:
        for line in process.stdout:
            file.write(line)
            line = line.rstrip()
            if result := re.match(r"(ok|FAILED|skipped) ", line):
                results.append(result[1])
            ended = ended or line == "END"
            if not ended:
                print(f"{name}: {line}", flush=True)
    limit.cancel()
    process.wait()
    if not ended:
        results.append("FAILED")
        print(f"{name}: FAILED: the cases did not come to their end; see {log}")


def main():
    image, mica, kernel = (pathlib.Path(argument).resolve() for argument in sys.argv[1:4])
    if not (kernel / "version").exists():
        print(f"skipped spare_core: no kernel in {kernel}; make it with tests/qemu/kernel/build")
        return 0
    initramfs = image.with_name("spare-core.initramfs")
    pack([image, mica], kernel, initramfs)
    results = []
    machines = [threading.Thread(target=run, args=(name, kernel, initramfs, sys.argv[4:],
                                                   image.with_name(f"spare-core-{name}.log"), results))
                for name in MACHINES]
    for machine in machines:
        machine.start()
    for machine in machines:
        machine.join()
    counts = {kind: results.count(kind) for kind in ["ok", "FAILED", "skipped"]}
    print(f"{counts['ok']} passed, {counts['FAILED']} failed, {counts['skipped']} skipped")
    return 1 if counts["FAILED"] or not counts["ok"] else 0


sys.exit(main())
