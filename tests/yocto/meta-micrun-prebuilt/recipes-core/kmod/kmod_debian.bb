SUMMARY = "Loader of kernel modules (Debian)"
LICENSE = "LGPL-2.1-or-later"
DEPENDS = "debian-libraries"

inherit debian-binary
