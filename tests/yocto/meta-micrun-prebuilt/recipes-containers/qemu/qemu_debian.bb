SUMMARY = "Emulator of Arm machines (Debian)"
LICENSE = "GPL-2.0-only"
DEBIAN_PACKAGES = "qemu-system-*"
DEPENDS = "debian-libraries"

inherit debian-binary

RPROVIDES:${PN} = "qemu-system-aarch64 qemu-system-arm"

# Blobs of other architectures' machines.
do_install:append() {
    cd ${D}${datadir}/qemu
    rm -rf ./*.lid ./hppa* ./s390* ./skiboot* ./openbios* ./opensbi* ./slof* ./u-boot* ./vgabios* ./bios* ./pxe* \
        ./efi-* ./*.rom ./palcode* ./QEMU,* ./npcm* ./canyon* ./petalogix*
}
