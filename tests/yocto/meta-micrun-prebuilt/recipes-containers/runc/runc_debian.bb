SUMMARY = "OCI runtime (Debian)"
LICENSE = "Apache-2.0"
DEPENDS = "debian-libraries"

inherit debian-binary
