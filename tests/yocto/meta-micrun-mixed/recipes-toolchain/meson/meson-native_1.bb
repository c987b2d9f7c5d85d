SUMMARY = "The meson that tests/yocto/mixed has installed; Debian 12's does not understand the recipes' cross files"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

inherit native

INHIBIT_DEFAULT_DEPS = "1"

do_install() {
    install -d ${D}${bindir}
    printf '#!/bin/sh\nexec %s "$@"\n' ${TOPDIR}/../venv/bin/meson >${D}${bindir}/meson
    chmod 0755 ${D}${bindir}/meson
}
