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
    # gettext's, where autotools.bbclass looks for them.
    install -D -m 0755 -t ${D}${datadir}/gettext /usr/share/gettext/config.rpath
    install -D -m 0644 -t ${D}${datadir}/gettext/po /usr/share/gettext/po/Makefile.in.in
    install -m 0644 /usr/share/gettext/po/Makevars.template ${D}${datadir}/gettext/po/Makevars.template.minimal
    sed '/^#/d' /usr/share/gettext/po/remove-potcdate.sin >${D}${datadir}/gettext/po/remove-potcdate.sed
}
