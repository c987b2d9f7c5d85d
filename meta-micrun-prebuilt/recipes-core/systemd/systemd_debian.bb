SUMMARY = "System and service manager (Debian)"
LICENSE = "LGPL-2.1-or-later"
DEBIAN_PACKAGES = "systemd systemd-sysv udev"
DEPENDS = "debian-libraries dbus util-linux kmod"
PROVIDES += "udev"

inherit debian-binary

RPROVIDES:${PN} = "udev"
RDEPENDS:${PN} = "dbus kmod util-linux systemd-conf"

# The presets that Debian's maintainer scripts would apply are applied when the image is made.
do_install:append() {
    install -d ${D}/usr/lib/systemd/system-preset
    : >${D}${sysconfdir}/machine-id
}
