SUMMARY = "remoteproc driver for a core that Linux gave up"
DESCRIPTION = "Loads firmware into reserved memory, starts a spare core of the machine with it by PSCI, and connects it by \
rpmsg. With a monitor at EL2 it can pause firmware and stop firmware that ignores requests."
SECTION = "kernel"
LICENSE = "GPL-2.0-only"
LIC_FILES_CHKSUM = "file://COPYING;md5=b234ee4d69f5fce4486a80fdaf4a4263"

inherit module

CVE_PRODUCT = "micrun:mica-rproc"

FILESEXTRAPATHS:prepend := "${THISDIR}/../..:"
SRC_URI = "file://drivers/mica_rproc;subdir=${BP}"
S = "${UNPACKDIR}/${BP}/drivers/mica_rproc"

COMPATIBLE_HOST = "aarch64.*-linux"

EXTRA_OEMAKE += "KDIR=${STAGING_KERNEL_DIR}"

# The `compatible` of the device tree node loads the driver. The rpmsg modules that it needs are installed with it.
RRECOMMENDS:${PN} += " \
    kernel-module-rpmsg-ns \
    kernel-module-rpmsg-tty \
    kernel-module-virtio-rpmsg-bus \
"
