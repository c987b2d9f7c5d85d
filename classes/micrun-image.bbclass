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

# Starts the image at boot, by a systemd unit of its own, firmware-NAME.service. "always" and "on-failure" are systemd's
# policies of starting anew, "once" is none; "autostart" and "unless-stopped" mean "always". Empty: no unit.
MICRUN_AUTOSTART ?= ""
# The container's name; what `ctr run` takes besides, as KEY=VALUE words are quoted above: "--memory-limit 67108864".
MICRUN_CONTAINER ?= "${MICRUN_ARCHIVE}"
MICRUN_RUN_OPTIONS ?= ""

DEPENDS:append = " micrun-image-builder-native"

inherit deploy systemd

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

# An init script is not written: without systemd the image is only imported.
MICRUN_UNIT = "${@'firmware-${MICRUN_CONTAINER}.service' if d.getVar('MICRUN_AUTOSTART') and \
    bb.utils.contains('DISTRO_FEATURES', 'systemd', True, False, d) else ''}"
SYSTEMD_PACKAGES = "${@'${PN}' if d.getVar('MICRUN_UNIT') else ''}"
SYSTEMD_SERVICE:${PN} = "${MICRUN_UNIT}"

python do_unit() {
    import shlex
    import micrun.unit
    if not d.getVar("MICRUN_UNIT"):
        return
    try:
        text = micrun.unit.unit(d.getVar("MICRUN_CONTAINER"), d.getVar("MICRUN_TAG"), d.getVar("MICRUN_AUTOSTART"),
                                d.getVar("SUMMARY"), shlex.split(d.getVar("MICRUN_RUN_OPTIONS")))
    except (micrun.unit.UnitError, ValueError) as error:
        bb.fatal("no unit can be made for the image: %s" % error)
    with open(d.expand("${B}/${MICRUN_UNIT}"), "w") as file:
        file.write(text)
}
addtask unit after do_configure before do_install
do_unit[dirs] = "${B}"
do_unit[doc] = "Writes the systemd unit of an image that starts at boot"

do_install() {
    install -D -m 0644 -t ${D}${datadir}/micrun/images '${B}/${MICRUN_ARCHIVE}.tar'
    for unit in ${MICRUN_UNIT}; do
        install -D -m 0644 -t ${D}${systemd_system_unitdir} "${B}/$unit"
    done
}

do_deploy() {
    install -D -m 0644 -t ${DEPLOYDIR}/micrun '${B}/${MICRUN_ARCHIVE}.tar'
}
addtask deploy after do_compile before do_build

FILES:${PN} = "${datadir}/micrun/images ${systemd_system_unitdir}"
RDEPENDS:${PN} += "${@'micrun-autostart' if d.getVar('MICRUN_UNIT') else ''}"
# Imports what lies there.
RRECOMMENDS:${PN} += "micrun-preload"
