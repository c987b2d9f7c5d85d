SUMMARY = "remoteproc driver for a core that Linux gave up"
DESCRIPTION = "Loads firmware into reserved memory, starts a spare core with it by PSCI, connects it by rpmsg, and holds or ends it by a monitor at EL2."
SECTION = "kernel"
LICENSE = "GPL-2.0-only"
LIC_FILES_CHKSUM = "file://COPYING;md5=b234ee4d69f5fce4486a80fdaf4a4263"

inherit module

CVE_PRODUCT = "micrun:mica-rproc"

MICRUN_FILES = "drivers/mica_rproc"
require recipes-containers/micrun/micrun-source.inc
S = "${UNPACKDIR}/${BP}/drivers/mica_rproc"

COMPATIBLE_HOST = "aarch64.*-linux"

EXTRA_OEMAKE += "KDIR=${STAGING_KERNEL_DIR}"

# The `compatible` of the device tree node loads the driver. The rpmsg modules that it needs are installed with it.
RRECOMMENDS:${PN} += "\
    kernel-module-rpmsg-ns \
    kernel-module-rpmsg-tty \
    kernel-module-virtio-rpmsg-bus \
"
