SUMMARY = "Firmware images that start at boot"
DESCRIPTION = "What the units of images with MICRUN_AUTOSTART run: a container of the image, its console in the journal."

require recipes-containers/micrun/micrun.inc

CVE_PRODUCT = "micrun:micrun-run"

# The units name it by its path.
libexecdir = "${exec_prefix}/libexec"

do_install:append() {
    install -d ${D}${libexecdir}
    mv ${D}${bindir}/micrun-run ${D}${libexecdir}
    rmdir ${D}${bindir}
}

# The console is mica's to show.
RDEPENDS:${PN} = "micad"
