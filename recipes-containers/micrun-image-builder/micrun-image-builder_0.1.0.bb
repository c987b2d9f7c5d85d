SUMMARY = "Packs RTOS firmware into OCI images"
DESCRIPTION = "Makes an OCI image of a firmware ELF, reproducibly, and shows what an image will do. It needs no container \
engine, no daemon, no network and no root."

require recipes-containers/micrun/micrun.inc

# With zstd and zlib in it.
LICENSE = "Apache-2.0 & BSD-3-Clause & MIT & Zlib"
CVE_PRODUCT = "micrun:micrun-image-builder facebook:zstandard"

BBCLASSEXTEND = "native nativesdk"
