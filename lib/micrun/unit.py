# SPDX-License-Identifier: Apache-2.0
"""The systemd unit that runs a firmware image from boot on."""

import re

# What MICRUN_AUTOSTART may say, as systemd's Restart= has it. The first two are the words of meta-virtualization.
POLICIES = {
    "autostart": "always",
    "unless-stopped": "always",
    "always": "always",
    "on-failure": "on-failure",
    "once": "no",
}
# containerd's identifiers.
_NAME = re.compile(r"[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$")

_UNIT = """[Unit]
Description={description}
Wants=containerd.service micad.service micrun-preload.service
After=containerd.service micad.service micrun-preload.service
# It starts again as often as its policy says.
StartLimitIntervalSec=0

[Service]
# The firmware's console goes to the journal, and its exit status is the service's.
ExecStart=/usr/libexec/micrun-run {words}
ExecStopPost=/usr/libexec/micrun-run --ended {name}
Restart={restart}
RestartSec=1
# It asks the firmware to end, whose status is then 143.
KillMode=mixed
SuccessExitStatus=143
TimeoutStopSec=20
StandardInput=null
SyslogIdentifier={name}
# It speaks to two daemons by their sockets, which root owns. A network and a /tmp of its own would take, in an emulated
# machine, as long as it does, and keep from it what it can neither reach nor write.
CapabilityBoundingSet=
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RestrictAddressFamilies=AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""


class UnitError(Exception):
    """A value that no unit can be made of."""


def _word(text):
    """A word of ExecStart: nothing in it is systemd's."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if escaped != text or re.search(r"[\s';]", text) else text


def unit(name, image, policy, description, options=()):
    """The text of firmware-NAME.service; `options` are micrun-run's."""
    if policy not in POLICIES:
        raise UnitError(f"MICRUN_AUTOSTART is {policy!r}, not one of {' '.join(POLICIES)}")
    if not _NAME.match(name) or len(name) > 65:
        raise UnitError(f"MICRUN_CONTAINER is {name!r}, which no container can be called")
    words = " ".join(_word(word) for word in (*options, image, name))
    return _UNIT.format(
        name=name, words=words, restart=POLICIES[policy], description=description.replace("%", "%%").replace("\n", " ")
    )
