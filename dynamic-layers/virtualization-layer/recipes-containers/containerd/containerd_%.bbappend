# Without the distribution's feature nothing of the recipe changes, its signatures neither.
require ${@bb.utils.contains('DISTRO_FEATURES', 'micrun', 'containerd-micrun.inc', '', d)}
