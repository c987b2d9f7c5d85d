SUMMARY = "Initramfs that loads what Debian's kernel needs to reach the disk"
LICENSE = "MIT"

PACKAGE_INSTALL = "busybox prebuilt-init kernel-module-crc32c-generic kernel-module-ext4 kernel-module-virtio-blk"
IMAGE_FEATURES = ""
IMAGE_LINGUAS = ""
IMAGE_FSTYPES = "cpio.gz"
IMAGE_NAME_SUFFIX = ""

inherit image
