SUMMARY = "OCI runtime (Debian)"
LICENSE = "GPL-2.0-or-later"
DEPENDS = "debian-libraries"

inherit debian-binary
