# Without the distro feature, neither the recipe nor its signatures change.
require ${@bb.utils.contains('DISTRO_FEATURES', 'micrun', 'containerd-micrun.inc', '', d)}
# MICRUN_CONTAINERD = "small": for systems without Kubernetes. ctr and the shim for runc are in packages of their own.
require ${@bb.utils.contains('DISTRO_FEATURES', 'micrun', {'small': 'containerd-small.inc'}.get(d.getVar('MICRUN_CONTAINERD'), ''), '', d)}
