SUMMARY = "Containers and RTOS firmware, for QEMU and boards"
DESCRIPTION = "systemd, containerd with crun, the shim, micad, and demo firmware, one of which runs from boot on. qemuarm64 keeps a core for an RTOS."
SECTION = "images"
LICENSE = "MIT"

inherit core-image micrun-spare-core micrun-store

IMAGE_INSTALL = "\
    packagegroup-core-boot \
    packagegroup-micrun \
    packagegroup-micrun-demo \
    ${CORE_IMAGE_EXTRA_INSTALL} \
"

# KiB for containers and their images.
IMAGE_ROOTFS_EXTRA_SPACE = "524288"
IMAGE_OVERHEAD_FACTOR = "1.1"
