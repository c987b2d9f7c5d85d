SUMMARY = "First program of the initramfs"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

SRC_URI = "file://init"
S = "${UNPACKDIR}"

inherit allarch

INHIBIT_DEFAULT_DEPS = "1"

do_install() {
    install -D -m 0755 ${S}/init ${D}/init
    install -d ${D}/dev ${D}/proc ${D}/mnt
}

FILES:${PN} = "/init /dev /proc /mnt"
RDEPENDS:${PN} = "busybox"
