SUMMARY = "Linux kernel, of upstream's archive"
DESCRIPTION = "Stands where openembedded-core has linux-yocto, whose tree can be had from its server alone: it is \
configured by the same class, and gets meta-micrun's append and fragments as that would."
SECTION = "kernel"
LICENSE = "GPL-2.0-only"
LIC_FILES_CHKSUM = "file://COPYING;md5=6bc538ed5bd9a7fc9398086aedcd7e46"

inherit kernel kernel-yocto

LINUX_VERSION = "${PV}"
SRC_URI = "${DEBIAN_MIRROR}/main/l/linux/linux_${PV}.orig.tar.xz \
    file://defconfig"
SRC_URI[sha256sum] = "efc76d3c78a5d65f42724118c437d11db1c9f6309a5f024ee9a8b1978fdc6919"
S = "${UNPACKDIR}/linux-${PV}"

COMPATIBLE_MACHINE = "^qemuarm64$"

# Nothing is on that nobody names.
KCONFIG_MODE = "--allnoconfig"
# Features of linux-yocto's own repository.
KERNEL_FEATURES:remove = "features/nfsd/nfsd-enable.scc"

# What a fragment asks for and the kernel does not have, or does not do, ends the build.
KCONF_BSP_AUDIT_LEVEL = "1"
KMETA_AUDIT_WERROR = "1"
