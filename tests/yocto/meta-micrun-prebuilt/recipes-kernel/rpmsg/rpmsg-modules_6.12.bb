SUMMARY = "The kernel's rpmsg over virtio, which Debian's kernel leaves out"
LICENSE = "GPL-2.0-only"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/GPL-2.0-only;md5=801f80980d171dd6425610833a22dbe6"

inherit module

FILESEXTRAPATHS:prepend := "${THISDIR}/files:${THISDIR}/../../../../qemu/kernel/rpmsg:"
SRC_URI = "file://Kbuild;subdir=${BP} file://Makefile;subdir=${BP}"
S = "${UNPACKDIR}/${BP}"

# From the kernel's own source package.
do_configure() {
    cp ${STAGING_KERNEL_DIR}/drivers/rpmsg/*.[ch] ${STAGING_KERNEL_DIR}/drivers/tty/rpmsg_tty.c ${S}
}
do_configure[depends] += "virtual/kernel:do_shared_workdir"

# Who asks for one gets all. The kernel's recipe, which provides whatever is called a module, has none of them.
RPROVIDES:${PN} = "kernel-module-rpmsg-char kernel-module-rpmsg-ctrl kernel-module-rpmsg-ns kernel-module-rpmsg-tty \
    kernel-module-virtio-rpmsg-bus"
