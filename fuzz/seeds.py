#!/usr/bin/env python3
"""Writes fuzz/corpus: a few real messages for each target, from which libFuzzer makes others.

The create messages and the status lines are those of libmica's golden files, which upstream's layout was read from.
"""

import base64
import gzip
import hashlib
import io
import json
import re
import struct
import tarfile
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


def tar_file(*entries: tuple[str, bytes, str | bytes]) -> bytes:
    """A tar of names, types, and contents or the targets of links."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, kind, content in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            if isinstance(content, str):
                info.linkname = content
            else:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    # Without the zeros at the end, which make a record of 10 KiB of it.
    tar = out.getvalue().rstrip(b"\0")
    return tar + bytes(-len(tar) % 512)


def message(*fields: tuple[int, bytes | str | int]) -> bytes:
    """A protobuf message of fields with short contents."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += bytes([number << 3, value])
        else:
            value = value.encode() if isinstance(value, str) else value
            out += bytes([number << 3 | 2, len(value)]) + value
    return out


def image(way: int, *blobs: bytes | dict, beside: tuple[int, ...] = (), first: int = 1) -> bytes:
    """An image's documents and layers, as the target `image` takes them; index.json names the blob `first`, and lists
    those beside it."""
    manifest = "application/vnd.oci.image.manifest.v1+json"
    name = {"io.containerd.image.name": "docker.io/library/demo:latest"}
    index = {
        "schemaVersion": 2,
        "manifests": [{"mediaType": manifest, "digest": f"@{first}", "size": f"#{first}", "annotations": name}],
    }
    index["manifests"] += [{"mediaType": manifest, "digest": f"@{it}", "size": f"#{it}"} for it in beside]
    pieces = [json.dumps(blob).encode() if isinstance(blob, dict) else blob for blob in (index, *blobs)]
    # Sizes are numbers, so they stand without quotation marks.
    return bytes([way]) + re.sub(rb'"(#\d)"', rb"\1", b"\n%%\n".join(pieces))


def delta(operations: list[tuple[int | None, int]], own: bytes, base: bytes = b"hello, world") -> bytes:
    """A firmware's delta: parts of the base, or so many of its own bytes."""
    result, left = b"", own
    for start, size in operations:
        if start is None:
            result, left = result + left[:size], left[size:]
        else:
            result += base[start : start + size]
    identity = lambda data: {"sha256": "sha256:" + hashlib.sha256(data).hexdigest(), "size": len(data)}
    header = {
        "base": {"path": "/base"} | identity(base),
        "operations": [{"size": size} | ({} if start is None else {"from": start}) for start, size in operations],
        "result": identity(result),
        "version": 1,
    }
    return b"micrun-delta\n" + json.dumps(header, sort_keys=True, separators=(",", ":")).encode() + b"\n" + own


def image_of(layer: bytes, record: str = "", first: int = 1) -> tuple[dict, dict, bytes]:
    """Manifest, config and layer of an image with one layer; the manifest is the blob `first`."""
    kinds = "application/vnd.oci.image."
    annotations = {"org.openeuler.micrun.layer.record": record} if record else {}
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{kinds}manifest.v1+json",
        "config": {"mediaType": f"{kinds}config.v1+json", "digest": f"@{first + 1}", "size": f"#{first + 1}"},
        "layers": [
            {"mediaType": f"{kinds}layer.v1.tar", "digest": f"@{first + 2}", "size": f"#{first + 2}", "annotations": annotations},
        ],
        "annotations": {"org.openeuler.micrun.container.os": "zephyr"},
    }
    config = {
        "architecture": "arm64",
        "os": "linux",
        "config": {"Cmd": ["/firmware.elf"], "Labels": {"a": "b"}},
        "rootfs": {"type": "layers", "diff_ids": [f"@{first + 2}"]},
        "history": [],
    }
    return manifest, config, layer


def artifact_of(about: int, part: int) -> tuple[dict, bytes]:
    """Manifest and content, which is the blob `part`, of a signature as cosign makes it."""
    kinds = "application/vnd.oci."
    bundle = {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "dsseEnvelope": {"payload": "e30="}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{kinds}image.manifest.v1+json",
        "artifactType": bundle["mediaType"],
        "config": {"mediaType": f"{kinds}empty.v1+json", "digest": f"@{part}", "size": f"#{part}"},
        "layers": [{"mediaType": bundle["mediaType"], "digest": f"@{part}", "size": f"#{part}"}],
        "subject": {"mediaType": f"{kinds}image.manifest.v1+json", "digest": f"@{about}", "size": f"#{about}"},
    }
    return manifest, json.dumps(bundle).encode()


SIGNATURE_OF_2 = artifact_of(2, 5)

FILE, SYMLINK, LINK = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
LAYERS = [
    tar_file(("client.conf", FILE, b"[Mica]\nClientPath=fw.elf\n"), ("fw.elf", FILE, elf(64, 183, True))),
    tar_file(
        ("etc/a", FILE, b"a"),
        ("b", SYMLINK, "etc/../../a"),
        ("c", LINK, "etc/a"),
        ("etc/.wh.x", FILE, b""),
        ("d/.wh..wh..opq", FILE, b""),
    ),
]
# A frame of one raw block (RFC 8878): magic, a window of 1 MiB, and the last block's header.
ZSTD = struct.pack("<IBB", 0xFD2FB528, 0, 10 << 3) + struct.pack("<I", 1 | len(LAYERS[1]) << 3)[:3] + LAYERS[1]
NAMESPACES = message((1, 2), (2, 0), (3, 1))
SYSCTLS = [(3, message((1, key), (2, "1"))) for key in ("net.ipv4.conf.eth0/1.x", "kernel.shmmax")]
POD = message(
    (1, message((1, "name"))),
    (2, "host"),
    (8, message((1, "/kubepods/pod1"), (2, message((1, NAMESPACES))), *SYSCTLS)),
)
SPEC = {
    "ociVersion": "1.0.2",
    "process": {"args": ["/firmware.elf", "-v", "two words"], "env": ["PATH=/bin", "RATE=100"], "cwd": "/"},
    "root": {"path": "rootfs"},
    "hostname": "c1",
    "mounts": [{"destination": "/etc/hosts", "type": "bind", "source": "/x", "options": ["rbind", "ro"]}],
    "annotations": {"io.kubernetes.cri.sandbox-id": "p", "io.kubernetes.cri.container-type": "container"},
    "linux": {
        "cgroupsPath": "kubepods-burstable-pod1.slice:cri-containerd:c1",
        "namespaces": [{"type": "pid"}, {"type": "network", "path": "/proc/7/ns/net"}],
        "resources": {
            "cpu": {"shares": 1024, "quota": 50000, "period": 100000, "cpus": "0-1", "mems": "0"},
            "memory": {"limit": 67108864, "swap": 67108864},
            "pids": {"limit": 50},
            "unified": {"memory.high": "1"},
        },
    },
}
AARCH64 = "CPU#0\r\n PC=0000000040100010 X00=0000000000000000\r\nPSTATE=400003c5 -Z-- EL1h    FPU disabled\r\n"
RISCV = " V      =  0\r\n pc       0000000080000004\r\n mepc     0000000080200000\r\n mcause   0000000000000001\r\n"
CORTEX_M = "R14=ffffffff R15=0000000a\r\nXPSR=41000000 -Z-- T priv-thread\r\n"
ROOTFS = """\
c [Mica]
c ClientPath = fw/app.elf
e real.elf
d fw
l fw/app.elf ../up/real.elf
l up /
p pipe
f etc/motd hello
l loop loop
a org.openeuler.micrun.container.os freertos
o fw/app.elf
o up/up/etc/motd
o pipe
o loop
"""

MACHINE = {"pedestal": "qemu", "firmware": "sha256:1", "hardware": "sha256:2", "memory_mb": 64, "vcpus": 1}

ANNOTATION = "org.openeuler.micrun."
def envelope(statement: dict, signature: str) -> str:
    """A signature file of an image (DSSE) around a statement."""
    payload = json.dumps(statement, separators=(",", ":")).encode()
    fields = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": "application/vnd.in-toto+json",
        "signatures": [{"sig": signature}],
    }
    return json.dumps(fields, separators=(",", ":"))


# The key of the target `signature` has signed this once.
STATEMENT = {
    "_type": "https://in-toto.io/Statement/v1",
    "predicate": {},
    "predicateType": "https://openeuler.org/micrun/firmware/v1",
    "subject": [
        {"digest": {"sha256": "ca481857d746e852ce71c2fed0ebd131e4dc9f45a1fae01a2b4e3d25ddd9b310"}, "name": "firmware"},
        {"digest": {"sha256": "3ed4f7dc3d66990466492ca56b4839edc0d09be8185100e7c069be02ecf4279b"}, "name": "client.conf"},
    ],
}
SIGNATURE = (
    "MEUCIQCAMWUw6uXYgIxDTv5sKELIkTAej9rR5ROpZ+MYrN0rQAIgGJOCCwbnvmhbdkUPX+KngTZrfSuiyvK55HMHUPro720="
)
YAML = """version: 1
images:
  - &first
    tag: demo:1
    firmware: "fw.elf"
    memory: 0x40
    qemu: {Consoles: "1"}
    platforms: [linux/arm64, linux/arm/v7]
    load-address: 0x4000_0000
    compression: zstd
  - tag: >-
      other:2
    firmware: 'b.elf'
    labels: *first
"""
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
    "checkpoint": [
        json.dumps({"version": 2, "machine": MACHINE, "state": {"size": 5, "sha256": f"sha256:{'0' * 64}"}}),
        json.dumps({"version": 1, "machine": MACHINE}),
        '{"version":3}',
    ],
    "client_conf": [
        "[Mica]\nName = demo\nClientPath = /firmware.elf\nPedestal = qemu\nMemory = 64\n\n[Qemu]\n"
        "Machine = virt,gic-version=3\nCPU = cortex-a53\n\n[Micrun]\ncontainer.os = freertos\n",
        "; upstream's\n[Mica]\nName=rtos\nCPU=3\nClientPath=/lib/firmware/rtos.elf\nAutoBoot=yes\nDebug=no\n",
        "[Mica]\nName: xen\nPedestal: xen\nPedestalConf: image.bin\nVCPU: 1\nMaxVCPU: 2\nCPUWeight: 256\n",
    ],
    "command": ["start", "stop", "rm", "status", "set CPUWeight 256", "gdb", "version", "checkpoint"],
    "create": [path.read_bytes() for path in sorted(LIBMICA.glob("create-*.bin"))],
    "delta": [delta([(0, 7), (None, 6), (7, 5)], b"RTOS, "), delta([(None, 3), (5, 7)], b"abc")],
    "elf": [elf(64, 183, True), elf(64, 183, False), elf(32, 40, True), elf(64, 243, False)],
    "exit_report": [
        '{"status":7,"reason":"exited","detail":"the firmware exited","exited_at":"2026-01-02T03:04:05.000000006Z"}',
        '{"state":"Running","pid":4711,"cpu_usec":1000,"memory_bytes":65536,"uptime_usec":5}',
        '{"clients":[{"name":"rtos","state":"Offline","pedestal":"qemu","cpu":""}]}',
        '{"daemon":"micad","version":"0.1.0","protocol":1,"pedestals":["qemu"],"extensions":["wait"]}',
    ],
    "gdb": ["+$qSupported:multiprocess+#c6+$?#3f$g#67\x03", "$m40100000,4#60", "$M40100000,2:00ff#0b$c#63$D#44"],
    "hex": [
        hex_file((4, 0, b"\x40\x00"), (0, 0, bytes(range(16))), (0, 16, b"\x01"), (5, 0, b"\x40\0\0\0"), (1, 0, b"")),
        hex_file((2, 0, b"\x10\x00"), (0, 0xFFF0, bytes(16)), (3, 0, b"\x10\0\0\x01"), (1, 0, b"")),
    ],
    "image": [
        image(1, *image_of(LAYERS[0])),
        image(2, *image_of(tar_file(("etc/a", FILE, b"a"), ("b", SYMLINK, "etc/a"), ("etc/.wh.x", FILE, b"")))),
        image(3, *image_of(tar_file(("linux", FILE, b"x")), f"sha256:{hashlib.sha256().hexdigest()}")),
        image(2, SIGNATURE_OF_2[0], *image_of(LAYERS[0], first=2), SIGNATURE_OF_2[1], beside=(1,), first=2),
        b"\0" + tar_file(("oci-layout", FILE, b'{"imageLayoutVersion":"1.0.0"}'), ("index.json", FILE, b'{"manifests":[]}')),
    ],
    "layer": [*LAYERS, gzip.compress(LAYERS[0], mtime=0), ZSTD],
    "micrun_conf": [
        "static_resource = true\nstate_dir = /run/micrun\n[Resource]\ncontainer_maxmem = \"64\"\n",
        "[Policy]\nallowed_pedestals = qemu, baremetal\nallowed_annotations = container.* runtime.debug\n"
        "max_firmware_size = 16\nallow_restore = false\nshared_cpu_pool = true\n",
        'debug = false\nstate_dir = "/run/other"\n[resource]\nmax_container_vcpu = 2\nemulator_overhead_mb = 128\n',
    ],
    "monitor": [
        f"{AARCH64}\n\n{AARCH64}",
        f"{RISCV}\n\n{CORTEX_M}",
        "0000000040080000: 0x5458454d 0x00000001 0x00000007 0x00000000\r\n",
    ],
    "mount": [
        "\x01overlay\nro\nindex=off\nlowerdir=/a/1/fs:/a/2\\:x/fs\nupperdir=/u\nworkdir=/w",
        "\xffoverlay\nlowerdir=/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs".encode("latin-1"),
        "\x01ext4\nloop\nuidmap=0:1000:10\ngidmap=0:1000:10,10:0:1\nrbind\nrslave\nX-containerd.mkdir=x",
    ],
    "options": [
        b"\0" + message((1, 1), (4, "/g"), (6, "crun"), (11, 7)),
        b"\x01" + message((1, 1), (4, 1), (8, 1), (9, "/g"), (10, 7), (12, "/w")),
        b"\x02" + message((1, "text"), (2, "/etc/x"), (3, "a = 1"), (4, 7)),
        b"\x05",
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
    "rootfs": [ROOTFS, "e firmware.elf\nl a ../../etc\no a/passwd\no a\n", "e b.elf\ne a.elf\nl c/d/e ../../b.elf\no c/d/e\n"],
    "sandbox": [POD, message((8, message((2, message((1, message((5, message((1, 0)))))))))), b""],
    "shell": [
        "\x01uart:~$ \nversion\nversion\r\nZephyr 4.1\r\nmicrun-exit: 7\r\n\x1b[1;32muart:~$ \x1b[m",
        "\x03\u00b5> \nx\n\u00b5> x\n\r y\n\r micrun-exit: 3\n\r\u00b5> ",
        "\x20>\necho\n\x1b7\x1b[8D\x1b[Jecho\r\n\r\n>> quoted\r\n> ",
    ],
    "signature": [envelope(STATEMENT, SIGNATURE), envelope(STATEMENT, ""), envelope({}, SIGNATURE), "{}"],
    "spec": [json.dumps(SPEC), '{"linux":{"cgroupsPath":"/default/../c1","resources":{"cpu":{"quota":-1}}}}', "{}"],
    "status": [],
    "stub": [
        b"\x01+$OK#9a+$00112233aabbccdd#a0+$OK#9a",
        b"\x02+$T05thread:01;#07+$OK#9a+$E14#aa",
        b"\xff+$OK#9a+$" + b"00" * 1024 + b"#00+$OK#9a+$" + b"00" * 1016 + b"#00+$OK#9a$OK#9a",
        b"\x00$OK#00",
    ],
    "texts": [
        "mica-cpu3\n 11:   5   7  GICv3  27 Level  mica-cpu3\n",
        "x\n3,900,41,-;remoteproc remoteproc0: Boot failed: -22\n SUBSYSTEM=remoteproc\n\0\0\n",
    ],
    "uf2": [
        uf2_file(0xE48BFF56, (0x10000000, bytes(256)), (0x10000100, bytes(range(256)))),
        uf2_file(0xE48BFF57, (0x10FFFF00, b"\xef" * 256)) + uf2_file(0xE48BFF59, (0x10000000, bytes(8))),
    ],
    "uri": [
        "fifo:///run/containerd/fifo/1/c1-stdout",
        "/run/f:1",
        "binary:///bin/log%67er?b=1&a=%2Fx+y&b=2&c",
        "binary-v2:///bin/l?x=%00",
        "FILE:/var/log/a%20b?x=y#z",
    ],
    "yaml": [*re.findall(r"```yaml\n(.*?)```", (HERE / "../docs/MICRUN_YAML.md").read_text(), re.S), YAML],
}
lines = json.loads((LIBMICA / "status.json").read_text())
SEEDS["status"] = [f"{one['name']}\n{one['line']}" for one in lines[:: len(lines) // 8]]

for target, seeds in SEEDS.items():
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (folder / str(number)).write_bytes(seed.encode() if isinstance(seed, str) else seed)
