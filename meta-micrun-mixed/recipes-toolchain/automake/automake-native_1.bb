SUMMARY = "This machine's automake, with what OE's has besides"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"
PROVIDES += "gnu-config-native"

SRC_URI = "file://aclocal file://gnu-configize"
S = "${UNPACKDIR}"

inherit native

INHIBIT_DEFAULT_DEPS = "1"

do_install() {
    install -D -m 0755 -t ${D}${bindir} ${S}/aclocal ${S}/gnu-configize
    # gettext's, where autotools.bbclass looks for it.
    install -D -m 0755 -t ${D}${datadir}/gettext /usr/share/gettext/config.rpath
}
