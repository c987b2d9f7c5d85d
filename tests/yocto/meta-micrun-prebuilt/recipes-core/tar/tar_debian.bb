SUMMARY = "Archiver (Debian)"
LICENSE = "GPL-3.0-or-later"
DEPENDS = "debian-libraries"

inherit debian-binary
