SUMMARY = "Tools for users and groups (Debian)"
LICENSE = "BSD-3-Clause"
DEBIAN_PACKAGES = "passwd"
DEPENDS = "debian-libraries"

inherit debian-binary
