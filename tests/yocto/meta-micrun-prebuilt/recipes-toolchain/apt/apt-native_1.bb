SUMMARY = "This machine's apt, dpkg and systemctl, as those of OE behave when they make a root filesystem"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

SRC_URI = "file://apt.conf.sample file://dpkg-for-root file://systemctl"
S = "${UNPACKDIR}"

inherit native

INHIBIT_DEFAULT_DEPS = "1"

do_install() {
    install -D -m 0644 -t ${D}${sysconfdir}/apt ${S}/apt.conf.sample
    install -D -m 0755 -t ${D}${bindir} ${S}/dpkg-for-root ${S}/systemctl
}
