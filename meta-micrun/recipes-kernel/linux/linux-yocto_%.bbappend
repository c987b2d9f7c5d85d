# Nothing changes unless the distribution asks for it by its feature.
FILESEXTRAPATHS:prepend := "${THISDIR}/files:"
SRC_URI:append = "${@bb.utils.contains('DISTRO_FEATURES', 'micrun', ' file://micrun.scc', '', d)}"
