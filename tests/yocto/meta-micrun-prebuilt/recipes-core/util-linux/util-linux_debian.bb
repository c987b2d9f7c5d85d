SUMMARY = "mount, agetty and their like (Debian)"
DEBIAN_PACKAGES = "util-linux mount"
DEPENDS = "debian-libraries"

inherit debian-binary

RPROVIDES:${PN} = "util-linux-agetty util-linux-flock util-linux-mount util-linux-umount"
