#!/usr/bin/env python3
"""Writes fuzz/corpus: a few real messages for each target, from which libFuzzer makes others.

The create messages and the status lines are those of libmica's golden files, which upstream's layout was read from.
"""

import io
import json
import struct
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
LIBMICA = HERE / "../micrun/libmica/tests/golden"
FIRMWARE = HERE / "../micrun/firmware/tests/golden"


def elf(bits: int, machine: int, note: bool) -> bytes:
    """An executable with one segment, a resource table and, if asked for, the note of an exit record."""
    wide = bits == 64
    word = "Q" if wide else "I"
    header_size, program_size, section_size = (64, 56, 64) if wide else (52, 32, 40)
    names = b"\0.resource_table\0.note.micrun\0.shstrtab\0"
    record = struct.pack("<III8sQ", 7, 8, 1, b"micrun\0\0", 0x40001000)
    code = b"\0\0\0\x14" * 4
    text_at = header_size + 2 * program_size
    note_at = text_at + len(code)
    names_at = note_at + len(record)
    sections_at = names_at + len(names)

    def program(kind: int, offset: int, size: int, flags: int) -> bytes:
        if wide:
            return struct.pack("<IIQQQQQQ", kind, flags, offset, 0x40000000, 0x40000000, size, size, 4)
        return struct.pack("<IIIIIIII", kind, offset, 0x40000000, 0x40000000, size, size, flags, 4)

    def section(name: int, kind: int, offset: int, size: int) -> bytes:
        return struct.pack(f"<II4{word}II2{word}", name, kind, 2, 0x40000000, offset, size, 0, 0, 4, 0)

    programs = program(1, text_at, len(code), 5) + program(4 if note else 0, note_at, len(record), 4)
    sections = bytes(section_size) + section(1, 1, text_at, len(code)) + section(30, 3, names_at, len(names))
    ident = bytes([0x7F, *b"ELF", 2 if wide else 1, 1, 1]) + bytes(9)
    fields = (2, machine, 1, 0x40000000, header_size, sections_at, 0, header_size, program_size, 2, section_size, 3, 2)
    header = ident + struct.pack(f"<HHI3{word}IHHHHHH", *fields)
    return header + programs + code + record + names + sections


def hex_file(*records: tuple[int, int, bytes]) -> str:
    """Intel HEX of records: type, offset and data."""
    lines = []
    for kind, offset, data in records:
        record = struct.pack(">BHB", len(data), offset, kind) + data
        lines.append(f":{(record + bytes([-sum(record) & 0xFF])).hex().upper()}\n")
    return "".join(lines)


def uf2_file(family: int, *blocks: tuple[int, bytes]) -> bytes:
    """UF2 of blocks: address and data."""
    file = b""
    for number, (address, data) in enumerate(blocks):
        words = (0x0A324655, 0x9E5D5157, 0x2000, address, len(data), number, len(blocks), family)
        file += struct.pack("<8I", *words) + data.ljust(476, b"\0") + struct.pack("<I", 0x0AB16F30)
    return file


def zip_file(method: int, **files: str | bytes) -> bytes:
    """An archive that is the same each time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, method)
    return out.getvalue()


ANNOTATION = "org.openeuler.micrun."
SEEDS: dict[str, list[str | bytes]] = {
    "annotations": [
        f"{ANNOTATION}container.os\nzephyr\n{ANNOTATION}container.auto_close_timeout\n1m30s\n",
        f"{ANNOTATION}container.firmware_hash\nsha256:{'0' * 64}\n{ANNOTATION}ped.pedestal\nqemu\n",
        f"{ANNOTATION}runtime.max_container_memory\n64\n{ANNOTATION}runtime.debug\ntrue\norg.openeuler.micran.x\n1\n",
    ],
    "archive": [
        zip_file(zipfile.ZIP_DEFLATED, **{"fw.elf": elf(64, 183, True), "read.me": "hello"}),
        zip_file(
            zipfile.ZIP_DEFLATED,
            **{
                "build/build_info.yml": "cmake:\n  board:\n    name: 'qemu_cortex_a53'\n  zephyr:\n    version: '4.1.0'\n",
                "build/zephyr/.config": 'CONFIG_SHELL=y\nCONFIG_SHELL_BACKEND_SERIAL=y\nCONFIG_SHELL_PROMPT_UART="uart:~$ "\n',
                "build/zephyr/zephyr.dts": "/ { chosen {\nzephyr,console = &uart0;\n}; };\n",
                "build/zephyr/zephyr.elf": elf(64, 183, False),
            },
        ),
        zip_file(zipfile.ZIP_STORED, nuttx=elf(32, 243, False), **{".config": 'CONFIG_ARCH_BOARD="rv-virt"\n'}),
        zip_file(zipfile.ZIP_STORED, **{"rtthread.elf": b"", "rtconfig.h": "#define RT_VER_NUM 0x50100\n"}),
    ],
    "client_conf": [
        "[Mica]\nName = demo\nClientPath = /firmware.elf\nPedestal = qemu\nMemory = 64\n\n[Qemu]\n"
        "Machine = virt,gic-version=3\nCPU = cortex-a53\n\n[Micrun]\ncontainer.os = freertos\n",
        "; upstream's\n[Mica]\nName=rtos\nCPU=3\nClientPath=/lib/firmware/rtos.elf\nAutoBoot=yes\nDebug=no\n",
        "[Mica]\nName: xen\nPedestal: xen\nPedestalConf: image.bin\nVCPU: 1\nMaxVCPU: 2\nCPUWeight: 256\n",
    ],
    "command": ["start", "stop", "rm", "status", "set CPUWeight 256", "gdb", "version", "checkpoint"],
    "create": [path.read_bytes() for path in sorted(LIBMICA.glob("create-*.bin"))],
    "elf": [elf(64, 183, True), elf(64, 183, False), elf(32, 40, True), elf(64, 243, False)],
    "exit_report": [
        '{"status":7,"reason":"exited","detail":"the firmware exited","exited_at":"2026-01-02T03:04:05.000000006Z"}',
        '{"state":"Running","pid":4711,"cpu_usec":1000,"memory_bytes":65536,"uptime_usec":5}',
        '{"clients":[{"name":"rtos","state":"Offline","pedestal":"qemu","cpu":""}]}',
        '{"daemon":"micad","version":"0.1.0","protocol":1,"pedestals":["qemu"],"extensions":["wait"]}',
    ],
    "hex": [
        hex_file((4, 0, b"\x40\x00"), (0, 0, bytes(range(16))), (0, 16, b"\x01"), (5, 0, b"\x40\0\0\0"), (1, 0, b"")),
        hex_file((2, 0, b"\x10\x00"), (0, 0xFFF0, bytes(16)), (3, 0, b"\x10\0\0\x01"), (1, 0, b"")),
    ],
    "micrun_conf": [
        "static_resource = true\nstate_dir = /run/micrun\n[Resource]\ncontainer_maxmem = \"64\"\n",
        "[Policy]\nallowed_pedestals = qemu, baremetal\nallowed_annotations = container.* runtime.debug\n"
        "max_firmware_size = 16\nallow_restore = false\nshared_cpu_pool = true\n",
        'debug = false\nstate_dir = "/run/other"\n[resource]\nmax_container_vcpu = 2\nemulator_overhead_mb = 128\n',
    ],
    "qmp": [
        b"\x10"
        b'{"QMP":{"version":{"qemu":{"micro":0,"minor":2,"major":7},"package":""},"capabilities":["oob"]}}\r\n'
        b'{"return":{},"id":1}\r\n{"timestamp":{"seconds":1,"microseconds":2},"event":"RESUME"}\r\n',
        b'\x01{"event":"SHUTDOWN","data":{"guest":true,"reason":"guest-shutdown"}}\n{"event":"STOP"}\n',
        b'\xff{"event":"MIGRATION","data":{"status":"completed"}}\n{"id":1,"error":{"class":"X","desc":"no"}}\n',
    ],
    "record": [(FIRMWARE / "record.json").read_bytes()],
    "reply": ["\x01MICA-SUCCESS", "\x05No such file: /x.elfMICA-FAILED", "\x20MICA-MICA-SUCCESMICA-SUCCESS"],
    "status": [],
    "uf2": [
        uf2_file(0xE48BFF56, (0x10000000, bytes(256)), (0x10000100, bytes(range(256)))),
        uf2_file(0xE48BFF57, (0x10FFFF00, b"\xef" * 256)) + uf2_file(0xE48BFF59, (0x10000000, bytes(8))),
    ],
}
lines = json.loads((LIBMICA / "status.json").read_text())
SEEDS["status"] = [f"{one['name']}\n{one['line']}" for one in lines[:: len(lines) // 8]]

for target, seeds in SEEDS.items():
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (folder / str(number)).write_bytes(seed.encode() if isinstance(seed, str) else seed)
