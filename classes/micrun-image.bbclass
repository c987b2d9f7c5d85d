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
# Where another multiconfig builds the firmware: its name, that of the recipe that deploys MICRUN_FIRMWARE there, and the
# task which does that.
MICRUN_FIRMWARE_MC ?= ""
MICRUN_FIRMWARE_RECIPE ?= ""
MICRUN_FIRMWARE_TASK ?= "do_deploy"
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
# The container's name; options of micrun-run (docs/YOCTO.md), quoted as KEY=VALUE words above:
# "--memory-limit 67108864".
MICRUN_CONTAINER ?= "${MICRUN_ARCHIVE}"
MICRUN_RUN_OPTIONS ?= ""

DEPENDS:append = " micrun-image-builder-native"

inherit deploy systemd

python () {
    import micrun.pack
    if not d.getVar("MICRUN_FIRMWARE"):
        raise bb.parse.SkipRecipe("MICRUN_FIRMWARE does not name the firmware")
    try:
        dependency = micrun.pack.multiconfig(d.getVar)
    except micrun.pack.PackError as error:
        raise bb.parse.SkipRecipe(str(error))
    if dependency:
        d.appendVarFlag("do_pack", "mcdepends", " " + dependency)
}

# A task of its own, so that a recipe may build its firmware, too.
python do_pack() {
    import os
    import micrun.pack
    archive = d.expand("${MICRUN_PACKED}/${MICRUN_ARCHIVE}.tar")
    environment = {**os.environ, "PATH": d.getVar("PATH"), "SOURCE_DATE_EPOCH": d.getVar("MICRUN_CREATED")}
    try:
        # With every digest, and what a shim will make of it, in the log.
        for command in micrun.pack.command(d.getVar, archive), ["micrun-image-builder", "inspect", archive]:
            said = bb.process.run(command, env=environment, cwd=d.getVar("MICRUN_PACKED"))
            bb.note("".join(said))
    except (micrun.pack.PackError, bb.process.CmdError) as error:
        bb.fatal("the firmware cannot be packed: %s" % error)
}
addtask pack after do_compile before do_install do_deploy
do_pack[cleandirs] = "${MICRUN_PACKED}"
do_pack[doc] = "Packs the firmware as an OCI image"
do_pack[vardeps] += "MICRUN_ANNOTATIONS MICRUN_ARCH MICRUN_CLIENT_CONF MICRUN_COMPRESSION MICRUN_CREATED MICRUN_FIRMWARE \
    MICRUN_LABELS MICRUN_LOAD_ADDRESS MICRUN_OS MICRUN_PEDESTAL MICRUN_PEDESTAL_CONF MICRUN_PLATFORMS MICRUN_TAG"
MICRUN_PACKED = "${WORKDIR}/micrun-image"

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

do_install:append() {
    install -D -m 0644 -t ${D}${datadir}/micrun/images '${MICRUN_PACKED}/${MICRUN_ARCHIVE}.tar'
    for unit in ${MICRUN_UNIT}; do
        install -D -m 0644 -t ${D}${systemd_system_unitdir} "${B}/$unit"
    done
}

do_deploy() {
    :
}
do_deploy:append() {
    install -D -m 0644 -t ${DEPLOYDIR}/micrun '${MICRUN_PACKED}/${MICRUN_ARCHIVE}.tar'
}
addtask deploy after do_compile before do_build

FILES:${PN} += "${datadir}/micrun/images ${systemd_system_unitdir}"
RDEPENDS:${PN} += "${@'micrun-run' if d.getVar('MICRUN_UNIT') else ''}"
# Imports what lies there.
RRECOMMENDS:${PN} += "micrun-preload"
