SUMMARY = "Runtime library of the compiler (Debian)"
LICENSE = "GPL-3.0-with-GCC-exception"
DEBIAN_PACKAGES = "libgcc-s1"
PROVIDES += "virtual/compilerlibs libgcc"

inherit debian-binary
