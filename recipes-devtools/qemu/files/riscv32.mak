# Machines of docs/BOARDS.md that qemu-system-riscv32 runs.
CONFIG_RISCV_VIRT=y
CONFIG_SIFIVE_E=y
# What `Devices` of a client.conf may name.
CONFIG_VIRTIO_NET=y
CONFIG_VIRTIO_RNG=y
# How micad puts code in front of firmware.
CONFIG_GENERIC_LOADER=y
