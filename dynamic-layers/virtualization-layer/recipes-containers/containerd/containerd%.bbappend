# Without the distro feature, neither the recipe nor its signatures change.
require ${@bb.utils.contains('DISTRO_FEATURES', 'micrun', 'containerd-micrun.inc', '', d)}
