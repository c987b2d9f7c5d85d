# SPDX-License-Identifier: Apache-2.0
"""A QEMU with a console and QMP, both over socket pairs: nothing is lost and nothing is waited for by sleeping."""

import json
import re
import select
import socket
import subprocess
import time
import typing

DEADLINE = 20  # seconds; any single wait is given up after it


class Board(typing.NamedTuple):
    """What QEMU emulates, and how that ends."""

    emulator: str
    options: tuple  # -machine, -cpu and what else makes it this board
    ending: str  # the reason of QEMU's SHUTDOWN event when the firmware ends


def virt(machine="virt,gic-version=3"):
    """The virt machine with a Cortex-A53."""
    return Board("qemu-system-aarch64", ("-M", machine, "-cpu", "cortex-a53", "-m", "64"), "guest-shutdown")


VIRT = virt()
# It cannot be powered off: the firmware resets it.
MPS2 = Board("qemu-system-arm", ("-M", "mps2-an385"), "guest-reset")
RISCV32 = Board("qemu-system-riscv32", ("-M", "virt", "-m", "64", "-bios", "none"), "guest-shutdown")
RISCV = Board("qemu-system-riscv64", ("-M", "virt", "-m", "64", "-bios", "none"), "guest-shutdown")


class Machine:
    """Runs one firmware image. The machine stands still until start()."""

    def __init__(self, image, board=VIRT):
        self.console, console = socket.socketpair()
        self.qmp, qmp = socket.socketpair()
        self.output = b""  # everything the console has printed
        self.read = 0  # how much of it expect() has consumed
        self.ending = board.ending
        self.process = subprocess.Popen(
            [board.emulator, *board.options, "-nodefaults", "-display", "none", "-S",
             "-action", "shutdown=pause,reboot=shutdown", "-kernel", str(image),
             "-chardev", f"socket,id=console,fd={console.fileno()}", "-serial", "chardev:console",
             "-chardev", f"socket,id=qmp,fd={qmp.fileno()}", "-mon", "chardev=qmp,mode=control"],
            pass_fds=[console.fileno(), qmp.fileno()], stdin=subprocess.DEVNULL)
        console.close()
        qmp.close()
        self.qmp.settimeout(DEADLINE)
        self.replies = self.qmp.makefile("r")
        self.events = []
        self.command("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.replies.close()
        self.qmp.close()
        self.console.close()

    def message(self):
        line = self.replies.readline()
        if not line:
            raise AssertionError("QEMU closed QMP")
        message = json.loads(line)
        if "event" in message:
            self.events.append(message)
        return message

    def command(self, name, **arguments):
        self.qmp.sendall(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        while True:
            message = self.message()
            if "error" in message:
                raise AssertionError(f"{name}: {message['error']['desc']}")
            if "return" in message:
                return message["return"]

    def start(self):
        self.command("cont")

    def send(self, data):
        self.console.settimeout(DEADLINE)
        self.console.sendall(data)

    def receive(self, until):
        """Reads what the console has to say until a time; false when that has come."""
        if not select.select([self.console], [], [], max(0, until - time.monotonic()))[0]:
            return False
        data = self.console.recv(65536)
        if not data:
            raise AssertionError(f"the console closed after {self.output[self.read:]!r}")
        self.output += data
        return True

    def expect(self, text):
        """Waits for text; returns what the console printed before it since the last call."""
        until = time.monotonic() + DEADLINE
        while (found := self.output.find(text, self.read)) < 0:
            if not self.receive(until):
                raise AssertionError(f"no {text!r} in {self.output[self.read:]!r}")
        before = self.output[self.read:found]
        self.read = found + len(text)
        return before

    def drain(self):
        """What a machine that has ended printed last. QEMU has handed it over by then."""
        while self.receive(time.monotonic()):
            pass
        text, self.read = self.output[self.read:], len(self.output)
        return text

    def run(self, line):
        """Types a command; returns its output."""
        self.send(line.encode() + b"\r")
        self.expect(line.encode() + b"\r\n")
        return self.expect(b"micrun> ").decode()

    def wait_end(self):
        """Waits for the firmware to end the machine; it stays, paused."""
        def ended():
            return any(e["event"] == "SHUTDOWN" and e["data"]["reason"] == self.ending for e in self.events)

        while not ended():
            self.message()

    def memory(self, address, words):
        """Reads 32-bit words of guest-physical memory."""
        text = self.command("human-monitor-command", **{"command-line": f"xp /{words}xw {address:#x}"})
        return [int(word, 16) for line in text.splitlines() for word in re.findall(r"0x[0-9a-f]{8}\b", line.split(":")[1])]

    def cpu_seconds(self):
        """CPU time that QEMU has used."""
        with open(f"/proc/{self.process.pid}/schedstat", encoding="ascii") as file:
            main = int(file.read().split()[0])
        threads = self.command("query-cpus-fast")
        for thread in threads:
            with open(f"/proc/{self.process.pid}/task/{thread['thread-id']}/schedstat", encoding="ascii") as file:
                main += int(file.read().split()[0])
        return main / 1e9
