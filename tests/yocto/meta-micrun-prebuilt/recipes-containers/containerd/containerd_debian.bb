SUMMARY = "Container engine (Debian)"
LICENSE = "Apache-2.0"
DEPENDS = "debian-libraries"

inherit debian-binary systemd

SYSTEMD_SERVICE:${PN} = "containerd.service"
RDEPENDS:${PN} = "runc"
RRECOMMENDS:${PN} = "kernel-module-bridge kernel-module-overlay kernel-module-veth"

# The configuration is a package of micrun's.
do_install:append() {
    rm -r ${D}${sysconfdir}
}
