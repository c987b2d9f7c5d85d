SUMMARY = "Message bus (Debian)"
LICENSE = "GPL-2.0-or-later"
DEBIAN_PACKAGES = "dbus*"
DEPENDS = "debian-libraries"

inherit debian-binary
