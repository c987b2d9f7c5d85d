SUMMARY = "Hashing of passwords (Debian)"
LICENSE = "LGPL-2.1-or-later"
DEBIAN_PACKAGES = "libcrypt1"
PROVIDES += "virtual/crypt"

inherit debian-binary
