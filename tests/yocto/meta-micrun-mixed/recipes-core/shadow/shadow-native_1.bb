SUMMARY = "This machine's tools for users and groups, as they work under pseudo"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

SRC_URI = "file://on-root"
S = "${UNPACKDIR}"

inherit native

INHIBIT_DEFAULT_DEPS = "1"

do_install() {
    install -d ${D}${bindir}
    for tool in groupadd useradd usermod; do
        install -m 0755 ${S}/on-root ${D}${bindir}/$tool
    done
}
