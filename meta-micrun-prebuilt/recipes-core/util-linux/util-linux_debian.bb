SUMMARY = "mount, agetty and their like (Debian)"
DEBIAN_PACKAGES = "util-linux mount"
DEPENDS = "debian-libraries"

inherit debian-binary
