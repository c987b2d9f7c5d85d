//! The boards by which operating systems know QEMU's machines, one line each. A firmware that carries such a name was
//! built for that line.
//!
//! The facts are those of each project's own board files: Zephyr's `boards/*/board.cmake`, NuttX's
//! `Documentation/platforms`, RT-Thread's `bsp/qemu-*`, U-Boot's `include/configs`, UniProton's `demos`.

use crate::elf::Family;

/// A board of an RTOS, on a QEMU machine.
#[derive(Debug, Clone, Copy)]
pub struct Port {
    /// The RTOS's name of it, with `_` where some write `-` or `/`.
    pub name: &'static str,
    /// Which operating system has it; other systems' firmware is not taken for it by its looks.
    pub os: &'static str,
    /// Whose code its firmware is.
    pub family: Family,
    /// QEMU's machine with the options that it needs.
    pub machine: &'static str,
    /// The CPU model; `None` leaves it to the machine.
    pub cpu: Option<&'static str>,
    /// Its memory in MiB, on a machine where that is a matter of choice.
    pub memory: Option<u32>,
    /// A further name that the firmware must carry: a variant of the board.
    pub variant: Option<&'static str>,
    /// What a user has to know, as a sentence.
    pub caveat: Option<&'static str>,
}

const fn port(name: &'static str, os: &'static str, family: Family, machine: &'static str) -> Port {
    Port { name, os, family, machine, cpu: None, memory: None, variant: None, caveat: None }
}

impl Port {
    const fn with(self, cpu: &'static str, memory: u32) -> Self {
        Self { cpu: Some(cpu), memory: Some(memory), ..self }
    }

    const fn memory(self, memory: u32) -> Self {
        Self { memory: Some(memory), ..self }
    }

    const fn when(self, variant: &'static str) -> Self {
        Self { variant: Some(variant), ..self }
    }

    const fn but(self, caveat: &'static str) -> Self {
        Self { caveat: Some(caveat), ..self }
    }
}

const R5_FORK: &str = "Zephyr runs qemu_cortex_r5 on Xilinx's fork of QEMU (arm-generic-fdt); QEMU's own xlnx-zcu102 has \
                       no interrupt controller for the R5 before version 10.1, so there are no ticks there";
const NO_TICKS: &str = "the KV260 has the processors of the machine xlnx-zcu102, but QEMU has no interrupt controller for the \
                        R5 before version 10.1, so there are no ticks there";
const XEN: &str =
    "Zephyr's board xenvm is a guest of Xen: its console is Xen's, which a QEMU machine has not";
const A9_FORK: &str = "Zephyr runs qemu_cortex_a9 on Xilinx's fork of QEMU (arm-generic-fdt-7series); xilinx-zynq-a9 is \
                       the nearest that QEMU itself has";

use Family::{A32, A64, M, R, Riscv32, Riscv64};

/// All of them. Of two that fit a firmware alike, the first is proposed.
#[rustfmt::skip]
pub const PORTS: &[Port] = &[
    port("qemu_cortex_a53",    "zephyr",    A64,     "virt,gic-version=3").with("cortex-a53", 128).when("config_armv8_a_ns"),
    port("qemu_cortex_a53",    "zephyr",    A64,     "virt,secure=on,gic-version=3").with("cortex-a53", 128),
    port("qemu_kvm_arm64",     "zephyr",    A64,     "virt,gic-version=3").memory(128),
    port("xenvm",              "zephyr",    A64,     "virt,gic-version=3").memory(128).but(XEN),
    port("rpi_4b",             "zephyr",    A64,     "raspi4b"),
    port("qemu_cortex_a9",     "zephyr",    A32,     "xilinx-zynq-a9").but(A9_FORK),
    port("qemu_cortex_m0",     "zephyr",    M,       "microbit"),
    port("bbc_microbit",       "zephyr",    M,       "microbit"),
    port("qemu_cortex_m3",     "zephyr",    M,       "lm3s6965evb"),
    port("disco_l475_iot1",    "zephyr",    M,       "b-l475e-iot01a"),
    port("olimex_stm32_h405",  "zephyr",    M,       "olimex-stm32-h405"),
    port("qemu_cortex_r5",     "zephyr",    R,       "xlnx-zcu102").but(R5_FORK),
    port("kv260_r5",           "zephyr",    R,       "xlnx-zcu102").but(NO_TICKS),
    port("qemu_riscv64",       "zephyr",    Riscv64, "virt").memory(256),
    port("qemu_riscv32",       "zephyr",    Riscv32, "virt").memory(256),
    port("qemu_riscv32_xip",   "zephyr",    Riscv32, "sifive_e"),
    port("hifive1",            "zephyr",    Riscv32, "sifive_e"),
    port("hifive_unleashed",   "zephyr",    Riscv64, "sifive_u"),
    port("qemu_armv8a",        "nuttx",     A64,     "virt,virtualization=on,gic-version=3").with("cortex-a53", 128),
    port("qemu_armv7a",        "nuttx",     A32,     "virt,highmem=off").with("cortex-a7", 128),
    port("rv_virt",            "nuttx",     Riscv64, "virt").memory(128),
    port("rv_virt",            "nuttx",     Riscv32, "virt").memory(128),
    port("lm3s6965_ek",        "nuttx",     M,       "lm3s6965evb"),
    port("qemu_virt64_aarch64", "rt-thread", A64,    "virt,gic-version=2").with("cortex-a53", 128),
    port("qemu_virt64_riscv",  "rt-thread", Riscv64, "virt").memory(256),
    port("qemu_vexpress_a9",   "rt-thread", A32,     "vexpress-a9"),
    port("qemu_arm",           "u-boot",    A64,     "virt").with("cortex-a53", 128),
    port("qemu_arm",           "u-boot",    A32,     "virt").memory(128),
    port("riscv64virt",        "uniproton", Riscv64, "virt").memory(512),
];

/// A name as the table writes it: small letters, and `_` where some write `-` or `/`.
pub(crate) fn normal(name: &str) -> String {
    name.to_lowercase().replace(['-', '/'], "_")
}
