# For images of the machine qemuarm64: four cores, of which Linux starts three. The fourth and 33 MB of memory are an
# RTOS's, and plain `runqemu` starts it that way. micrun-qemu-dtb makes the device tree of this same machine.

# The driver needs a GICv3. With EL2 its monitor can pause firmware and stop firmware that ignores requests.
QB_MACHINE:qemuarm64 = "-machine virt,gic-version=3,virtualization=on"
QB_SMP:qemuarm64 = "-smp 4"
QB_MEM:qemuarm64 = "-m 2048"
QB_DTB:qemuarm64 = "micrun-qemuarm64.dtb"
# The fourth core is described to Linux and never started by it.
QB_KERNEL_CMDLINE_APPEND:append:qemuarm64 = " maxcpus=3"

EXTRA_IMAGEDEPENDS:append:qemuarm64 = " micrun-qemu-dtb:do_deploy"
