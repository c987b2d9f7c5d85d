SUMMARY = "This machine's QEMU, where runqemu looks for that of OE"
# qemuboot.bbclass writes this recipe's name and version into what runqemu reads.
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

SRC_URI = "file://qemu-system-aarch64"
S = "${UNPACKDIR}"

inherit native

INHIBIT_DEFAULT_DEPS = "1"

do_install() {
    install -D -m 0755 -t ${D}${bindir} ${S}/qemu-system-aarch64
}
