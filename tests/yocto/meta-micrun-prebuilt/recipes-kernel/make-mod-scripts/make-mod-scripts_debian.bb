SUMMARY = "Stands for the build tools of kernel modules, which Debian's kernel brings"
LICENSE = "GPL-2.0-only"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/GPL-2.0-only;md5=801f80980d171dd6425610833a22dbe6"

inherit nopackages

PACKAGE_ARCH = "${MACHINE_ARCH}"
S = "${UNPACKDIR}"

INHIBIT_DEFAULT_DEPS = "1"

do_compile[depends] += "virtual/kernel:do_shared_workdir"
do_compile[noexec] = "1"
