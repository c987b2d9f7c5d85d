# MICRUN_QEMU = "small" builds the target's QEMU with the machines of docs/BOARDS.md and the devices soldered to them, and
# little else: it starts in less time, takes less memory, and has less to attack. tools/qemu-small makes the same on Debian.
require ${@bb.utils.contains('DISTRO_FEATURES', 'micrun', {'small': 'qemu-small.inc'}.get(d.getVar('MICRUN_QEMU'), ''), '', d)}
