# An OCI image of a firmware, as a package and in DEPLOY_DIR_IMAGE. A recipe names the firmware and what it wants:
#
#   SUMMARY = "..."
#   LICENSE = "..."
#   DEPENDS = "my-firmware"
#   inherit micrun-image
#   MICRUN_FIRMWARE = "${STAGING_DATADIR}/my/rtos.elf"
#   MICRUN_OS = "zephyr"
#
# The archive is what `micrun-image-builder pack` makes of the same options anywhere: same bytes, same digest.

# The firmware: an ELF file, or another that `pack` takes (docs/IMAGE_BUILDER.md, "Formats"). The client.conf of the
# image; without one it is made.
MICRUN_FIRMWARE ?= ""
MICRUN_CLIENT_CONF ?= ""
# What Intel HEX and a raw binary do not say: the processor, and where a binary is loaded.
MICRUN_ARCH ?= ""
MICRUN_LOAD_ADDRESS ?= ""
# The file that xen, jailhouse and hetero read beside the firmware.
MICRUN_PEDESTAL_CONF ?= ""
# uniproton, zephyr, freertos or baremetal; baremetal or qemu. Empty: the builder's choice.
MICRUN_OS ?= ""
MICRUN_PEDESTAL ?= ""
# KEY=VALUE words; quote one with blanks: "a.b=c 'd.e=two words'".
MICRUN_ANNOTATIONS ?= ""
MICRUN_LABELS ?= ""
# linux/arm64 and the like; empty: from the ELF file and the pedestal.
MICRUN_PLATFORMS ?= ""
# The image's name in containerd, and the archive's without .tar.
MICRUN_TAG ?= "localhost/${BPN}:${PV}"
MICRUN_ARCHIVE ?= "${BPN}"
# gzip, zstd or none.
MICRUN_COMPRESSION ?= "gzip"
# Seconds since 1970: the image's creation time. Files of a fresh checkout have no time worth keeping.
MICRUN_CREATED ?= "0"

DEPENDS:append = " micrun-image-builder-native"

inherit deploy

python () {
    if not d.getVar("MICRUN_FIRMWARE"):
        raise bb.parse.SkipRecipe("MICRUN_FIRMWARE does not name the firmware")
}

do_configure[noexec] = "1"

do_compile() {
    set -- --tag '${MICRUN_TAG}' --compression '${MICRUN_COMPRESSION}' --output '${B}/${MICRUN_ARCHIVE}.tar'
    for value in ${MICRUN_CLIENT_CONF}; do set -- "$@" --client-conf "$value"; done
    for value in ${MICRUN_ARCH}; do set -- "$@" --arch "$value"; done
    for value in ${MICRUN_LOAD_ADDRESS}; do set -- "$@" --load-address "$value"; done
    for value in ${MICRUN_PEDESTAL_CONF}; do set -- "$@" --pedestal-conf "$value"; done
    for value in ${MICRUN_OS}; do set -- "$@" --os "$value"; done
    for value in ${MICRUN_PEDESTAL}; do set -- "$@" --pedestal "$value"; done
    for value in ${MICRUN_ANNOTATIONS}; do set -- "$@" --annotation "$value"; done
    for value in ${MICRUN_LABELS}; do set -- "$@" --label "$value"; done
    for value in ${MICRUN_PLATFORMS}; do set -- "$@" --platform "$value"; done
    rm -f '${B}/${MICRUN_ARCHIVE}.tar'
    SOURCE_DATE_EPOCH=${MICRUN_CREATED} micrun-image-builder pack '${MICRUN_FIRMWARE}' "$@"
    # Every digest, and what a shim will make of it, into the log.
    micrun-image-builder inspect '${B}/${MICRUN_ARCHIVE}.tar'
}

do_install() {
    install -D -m 0644 -t ${D}${datadir}/micrun/images '${B}/${MICRUN_ARCHIVE}.tar'
}

do_deploy() {
    install -D -m 0644 -t ${DEPLOYDIR}/micrun '${B}/${MICRUN_ARCHIVE}.tar'
}
addtask deploy after do_compile before do_build

FILES:${PN} = "${datadir}/micrun/images"
# Imports what lies there.
RRECOMMENDS:${PN} += "micrun-preload"
