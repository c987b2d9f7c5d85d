SUMMARY = "Names of protocols and services (Debian)"
LICENSE = "GPL-2.0-only"

inherit debian-binary
