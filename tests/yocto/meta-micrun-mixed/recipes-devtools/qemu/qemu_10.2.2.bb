# openembedded-core's recipe, of the next patch release: Debian has its archive, but for a few files that it may not
# distribute, and not 10.2.0's.
require recipes-devtools/qemu/qemu_10.2.0.bb

FILESEXTRAPATHS:prepend := "${COREBASE}/meta/recipes-devtools/qemu/qemu:"
SRC_URI:remove = "https://download.qemu.org/${BPN}-${PV}.tar.xz"
SRC_URI:prepend = "${DEBIAN_MIRROR}/main/q/qemu/qemu_${PV}+ds.orig.tar.xz "
SRC_URI[sha256sum] = "be05230fe47a6937cd29f28f562932c8125f9c93c2a82c625198f7a4aa601dfb"
# 10.2.2 has the one; the other is for musl and user mode, and does not apply.
SRC_URI:remove = "file://0001-linux-user-elfload.c-Correction-to-HWCAP2-accessor.patch"
SRC_URI:remove = "file://0005-qemu-Add-some-user-space-mmap-tweaks-to-address-musl.patch"

# This machine's.
PYTHON = "python3"
