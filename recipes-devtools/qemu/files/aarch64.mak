# Machines of docs/BOARDS.md that qemu-system-aarch64 runs. They bring the devices that are soldered to them.
CONFIG_ARM_VIRT=y
CONFIG_RASPI=y
CONFIG_XLNX_ZYNQMP_ARM=y
# The last two have these on board, and QEMU 10's own configuration does not say so.
CONFIG_OR_IRQ=y
CONFIG_UNIMP=y
# What `Devices` of a client.conf may name.
CONFIG_VIRTIO_NET=y
CONFIG_VIRTIO_RNG=y
# How micad puts code in front of firmware.
CONFIG_GENERIC_LOADER=y
