SUMMARY = "C library (Debian)"
LICENSE = "LGPL-2.1-or-later"
DEBIAN_PACKAGES = "libc6"
PROVIDES += "virtual/libc virtual/libiconv virtual/libintl"

inherit debian-binary
