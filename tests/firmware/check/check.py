# SPDX-License-Identifier: Apache-2.0
"""Boots the test firmware under QEMU and talks to it.

Usage: check.py DIRECTORY-OF-THE-IMAGES DEMO[,DEMO...] [NAME...]. A demo is aarch64, cortex-m, riscv or riscv32.
A test that takes a demo is run on each of them; one that takes none is about aarch64 alone.
"""

import inspect
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import traceback
import typing

from elf import exit_record
from machine import DEADLINE, MPS2, RISCV, RISCV32, VIRT, Board, Machine, virt

IMAGES = pathlib.Path(sys.argv[1])
HELLO = IMAGES / "hello.elf"
MAGIC = int.from_bytes(b"MEXT", "little")
BANNER = b"micrun FreeRTOS demo\r\n"
COMMANDS = ["help", "uname", "uptime", "echo", "ps", "exit", "crash", "spin", "flood", "hoard"]


class Demo(typing.NamedTuple):
    """The demo for one processor."""

    image: pathlib.Path
    board: Board
    arch: str  # as uname names it
    commands: list
    tasks: dict  # and their states while the shell runs `ps`
    crash: bytes  # what it reports of it, as a pattern


DEMOS = {
    "aarch64": Demo(IMAGES / "freertos-demo.elf", VIRT, "aarch64", [*COMMANDS, "args"],
                    {"shell": "running", "IDLE": "ready"},
                    # Exception class 0x25: a data abort at EL1.
                    rb"fault: data abort\r\nESR_EL1  0000000096[0-9a-f]{6}\r\nELR_EL1  0000000040[0-9a-f]{6}\r\n"
                    rb"FAR_EL1  0000003000000000\r\n"),
    "cortex-m": Demo(IMAGES / "freertos-cortex-m.elf", MPS2, "armv7m", COMMANDS,
                     {"shell": "running", "IDLE": "ready", "shell1": "blocked"},
                     # A precise bus error whose address is known, escalated to a HardFault.
                     rb"fault: bus fault\r\nCFSR     00008200\r\nHFSR     40000000\r\nPC       0000[0-9a-f]{4}\r\n"
                     rb"BFAR     30000000\r\n"),
    "riscv": Demo(IMAGES / "freertos-riscv.elf", RISCV, "riscv64", [*COMMANDS, "args"],
                  {"shell": "running", "IDLE": "ready"},
                  rb"fault: store access fault\r\nMCAUSE   0{15}7\r\nMEPC     00000000800[0-9a-f]{5}\r\n"
                  rb"MTVAL    0000000000200000\r\n"),
    "riscv32": Demo(IMAGES / "freertos-riscv32.elf", RISCV32, "riscv32", [*COMMANDS, "args"],
                    {"shell": "running", "IDLE": "ready"},
                    rb"fault: store access fault\r\nMCAUSE   0{7}7\r\nMEPC     800[0-9a-f]{5}\r\n"
                    rb"MTVAL    00200000\r\n"),
}


def boot(demo, board=None):
    """A demo at its prompt."""
    machine = Machine(demo.image, board or demo.board)
    machine.start()
    machine.expect(b"micrun> ")
    return machine


def record_after(machine, image):
    """Waits for the end and reads the exit record, without the heartbeat."""
    machine.wait_end()
    return machine.memory(exit_record(image), 3)


def test_banner_is_the_first_output(demo):
    with boot(demo) as machine:
        assert machine.output.startswith(BANNER), machine.output
        assert re.search(rb"\r\nFreeRTOS V\d+\.\d+\.\d+.*\r\nmicrun> $", machine.output), machine.output


def test_input_sent_before_boot_is_kept(demo):
    with Machine(demo.image, demo.board) as machine:
        machine.send(b"echo early\r")
        machine.start()
        machine.expect(b"micrun> echo early\r\nearly\r\nmicrun> ")


def test_help_lists_every_command(demo):
    with boot(demo) as machine:
        listed = [line.split()[0] for line in machine.run("help").splitlines()]
        assert listed == demo.commands, listed


def test_uname(demo):
    with boot(demo) as machine:
        assert re.fullmatch(rf"FreeRTOS V\d+\.\d+\.\d+ micrun-demo {demo.arch}\r\n", machine.run("uname"))


def test_uptime_moves_on(demo):
    def seconds(text):
        return float(re.fullmatch(r"up (\d+\.\d{3}) s, \d+ ticks of 10 ms\r\n", text)[1])

    with boot(demo) as machine:
        first = seconds(machine.run("uptime"))
        machine.run("flood 200")
        assert seconds(machine.run("uptime")) > first


def test_ticks_follow_the_clock(demo):
    with boot(demo) as machine:
        until = time.monotonic() + DEADLINE
        while True:
            up, ticks = re.match(r"up (\d+\.\d+) s, (\d+) ticks", machine.run("uptime")).groups()
            if int(ticks) >= 20:
                break
            assert time.monotonic() < until, f"{ticks} ticks after {up} s"
        assert abs(float(up) - int(ticks) / 100) < 0.2, f"{ticks} ticks after {up} s"


def test_echo_keeps_its_text(demo):
    with boot(demo) as machine:
        assert machine.run("echo a  b, ünïcode") == "a  b, ünïcode\r\n"
        assert machine.run("echo") == "\r\n"


def test_ps_lists_the_tasks(demo):
    with boot(demo) as machine:
        header, *tasks = machine.run("ps").splitlines()
        assert header.split() == ["ID", "STATE", "PRIO", "STACK-FREE", "TIME-MS", "NAME"], header
        states = {task.split()[-1]: task.split()[1] for task in tasks}
        assert states == demo.tasks, tasks


def test_unknown_command_is_named(demo):
    with boot(demo) as machine:
        assert machine.run("reboot now") == "reboot: no such command; help lists them\r\n"


def test_cr_lf_and_crlf_end_a_line(demo):
    with boot(demo) as machine:
        machine.send(b"echo one\recho two\necho three\r\necho four\r\n\r\n")
        for word in [b"one", b"two", b"three", b"four"]:
            machine.expect(b"echo " + word + b"\r\n" + word + b"\r\nmicrun> ")
        assert machine.expect(b"micrun> ") == b"\r\n"


def test_backspace_and_delete_erase(demo):
    with boot(demo) as machine:
        machine.send(b"\x08echo ax\x08b\xc3\xbc\x7fc\r")
        assert machine.expect(b"abc\r\n") == "echo ax\b \bbü\b \bc\r\n".encode()


def test_too_long_line_is_refused(demo):
    with boot(demo) as machine:
        machine.send(b"echo " + b"x" * 252 + b"\r")
        machine.expect(b"The line is longer than 256 bytes and was not run.\r\nmicrun> ")
        assert machine.run("echo " + "x" * 251) == "x" * 251 + "\r\n"


def test_pasted_burst_is_complete(demo):
    lines = [b"echo paste %04d" % number for number in range(500)]
    with boot(demo) as machine:
        # The flood keeps the shell busy until the firmware's buffer is full.
        machine.send(b"flood 500\r" + b"".join(line + b"\r" for line in lines))
        machine.expect(b"\r\nmicrun> ")
        for line in lines:
            assert machine.expect(b"\r\nmicrun> ") == line + b"\r\n" + line.removeprefix(b"echo ")


def test_flood_is_complete_and_in_order(demo):
    with boot(demo) as machine:
        lines = machine.run("flood 2000").splitlines()
        numbers = [re.fullmatch(r"flood (\d{10}) the quick brown fox jumps over the lazy dog", line)[1] for line in lines]
        assert numbers == [f"{number:010}" for number in range(1, 2001)]
        assert machine.run("flood").startswith("flood: ")
        assert machine.run("flood many").startswith("flood: ")


def check_exit(demo, line, status):
    with boot(demo) as machine:
        machine.send(line + b"\r")
        assert record_after(machine, demo.image) == [MAGIC, 0, status]
        machine.expect(line + b"\r\n")


def test_exit_without_a_number_is_0(demo):
    check_exit(demo, b"exit", 0)


def test_exit_7(demo):
    check_exit(demo, b"exit 7", 7)


def test_exit_255(demo):
    check_exit(demo, b"exit 255", 255)


def test_exit_refuses_what_is_no_status(demo):
    with boot(demo) as machine:
        for text in ["256", "-1", "7x", "18446744073709551623"]:
            assert machine.run(f"exit {text}") == f'exit: "{text}" is not a status; give a number from 0 to 255\r\n'


def test_record_is_empty_while_running(demo):
    with boot(demo) as machine:
        assert machine.memory(exit_record(demo.image), 3) == [0, 0, 0]


def test_crash_is_a_memory_fault(demo):
    with boot(demo) as machine:
        machine.send(b"crash\r")
        assert record_after(machine, demo.image) == [MAGIC, 1, 139]
        assert re.search(demo.crash, machine.drain()), machine.output


def test_spin_stops_everything(demo):
    with boot(demo) as machine:
        machine.send(b"spin\r")
        machine.expect(b"spinning with interrupts masked\r\n")
        machine.send(b"echo lost\r")
        before = machine.cpu_seconds()
        until = time.monotonic() + DEADLINE
        # However busy the host is, a core that spins gets on; one that waits does not.
        while machine.cpu_seconds() - before < 0.5:
            assert not machine.receive(time.monotonic() + 0.1), machine.output
            assert time.monotonic() < until, "the core does not spin"


def test_idle_machine_leaves_the_host_alone(demo):
    with boot(demo) as machine:
        before = machine.cpu_seconds()
        assert not machine.receive(time.monotonic() + 1), machine.output
        used = machine.cpu_seconds() - before
        assert used < 0.15, f"{used:.3f} s of CPU in 1 s"


def test_starts_at_el2_too():
    with boot(DEMOS["aarch64"], virt("virt,gic-version=3,virtualization=on")) as machine:
        machine.send(b"exit 3\r")
        assert record_after(machine, DEMOS["aarch64"].image) == [MAGIC, 0, 3]


def test_the_power_button_powers_off():
    demo = DEMOS["aarch64"]
    with boot(demo) as machine:
        machine.command("system_powerdown")
        assert record_after(machine, demo.image) == [MAGIC, 0, 0]


def test_panics_without_a_gicv3():
    image = DEMOS["aarch64"].image
    with Machine(image, virt("virt,gic-version=2")) as machine:
        machine.start()
        assert record_after(machine, image) == [MAGIC, 1, 134]
        machine.expect(b"panic: no GICv3; start the machine as virt,gic-version=3 (")


def test_strip_keeps_the_exit_record():
    demo = DEMOS["aarch64"]
    with tempfile.TemporaryDirectory() as directory:
        stripped = pathlib.Path(directory) / "stripped.elf"
        subprocess.run(["aarch64-linux-gnu-strip", "-o", stripped, demo.image], check=True)
        assert exit_record(stripped) == exit_record(demo.image) is not None
        with boot(demo._replace(image=stripped)) as machine:
            machine.send(b"exit 9\r")
            assert record_after(machine, stripped) == [MAGIC, 0, 9]


def test_hello_prints_its_line_and_powers_off():
    assert exit_record(HELLO) is None
    with Machine(HELLO) as machine:
        machine.start()
        machine.wait_end()
        machine.expect(b"hello from bare metal\r\n")
        assert machine.output == b"hello from bare metal\r\n"


def cases(demos, wanted):
    """Yields (name, test, arguments)."""
    for name, test in globals().items():
        short = name.removeprefix("test_")
        if short == name or wanted and short not in wanted:
            continue
        if not inspect.signature(test).parameters:
            if "aarch64" in demos:
                yield short, test, []
            continue
        for demo in demos:
            yield f"{short} on {demo}", test, [DEMOS[demo]]


def main():
    passed = failed = 0
    for name, test, arguments in cases(sys.argv[2].split(","), sys.argv[3:]):
        start = time.monotonic()
        try:
            test(*arguments)
        except Exception:  # a test may fail in any way; the others still run
            failed += 1
            print(f"FAILED {name}")
            traceback.print_exc(file=sys.stdout)
        else:
            passed += 1
            print(f"ok {name} ({(time.monotonic() - start) * 1000:.0f} ms)")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


sys.exit(main())
