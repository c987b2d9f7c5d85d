SUMMARY = "System and service manager (Debian)"
LICENSE = "LGPL-2.1-or-later"
DEBIAN_PACKAGES = "systemd systemd-sysv udev"
DEPENDS = "debian-libraries dbus util-linux kmod"
PROVIDES += "udev"

inherit debian-binary

RPROVIDES:${PN} = "udev"
RDEPENDS:${PN} = "dbus kmod util-linux systemd-conf"

# Empty: made on first boot. The others are links to what this image does not have.
do_install:append() {
    : >${D}${sysconfdir}/machine-id
    rm -r ${D}${sysconfdir}/modules-load.d ${D}${sysconfdir}/profile.d
}
