# Without the distro feature, neither the recipe nor its signatures change.
require ${@bb.utils.contains('DISTRO_FEATURES', 'micrun', 'containerd-micrun.inc', '', d)}
# MICRUN_CONTAINERD = "small": for systems without Kubernetes. ctr is in a package of its own, containerd-ctr.
require ${@bb.utils.contains('DISTRO_FEATURES', 'micrun', {'small': 'containerd-small.inc'}.get(d.getVar('MICRUN_CONTAINERD'), ''), '', d)}
