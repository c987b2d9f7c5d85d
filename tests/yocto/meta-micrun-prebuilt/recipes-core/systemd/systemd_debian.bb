SUMMARY = "System and service manager (Debian)"
LICENSE = "LGPL-2.1-or-later"
DEBIAN_PACKAGES = "systemd systemd-sysv udev"
DEPENDS = "debian-libraries dbus util-linux kmod"
PROVIDES += "udev"

inherit debian-binary

# /var/tmp and /var/log of openembedded-core's base-files lead there.
FILESEXTRAPATHS:prepend := "${COREBASE}/meta/recipes-core/systemd/systemd:"
SRC_URI += "file://00-create-volatile.conf"

RPROVIDES:${PN} = "udev"
RDEPENDS:${PN} = "dbus kmod util-linux systemd-conf"
RRECOMMENDS:${PN} = "kernel-module-autofs4"

# The identity is made on first boot. The others are links to what this image does not have, a cache that it does not
# have either, and a database of hardware that takes minutes to index.
do_install:append() {
    : >${D}${sysconfdir}/machine-id
    rm -r ${D}${sysconfdir}/modules-load.d ${D}${sysconfdir}/profile.d
    find ${D} -name ldconfig.service -delete
    rm -r ${D}${nonarch_libdir}/udev/hwdb.d
    install -D -m 0644 -t ${D}${nonarch_libdir}/tmpfiles.d ${UNPACKDIR}/00-create-volatile.conf
}
