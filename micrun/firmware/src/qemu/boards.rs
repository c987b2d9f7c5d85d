//! The table of QEMU machines, one line each: whose firmware it runs, where its memory is, where its console.
//!
//! The facts are QEMU's own (`info mtree -f`, `-machine help`, `-cpu help`, version 10.0). The test
//! `tests/micad` `boards` asks the installed QEMU for them again, so no line can be wrong for long.

use crate::elf::{ArmVersion, Family, Window};

/// A QEMU machine, as firmware of one family sees it.
#[derive(Debug, Clone, Copy)]
pub struct Board {
    /// QEMU's name of it.
    pub machine: &'static str,
    /// Whose firmware it runs.
    pub family: Family,
    /// The newest version of that architecture that it runs; `None` if that was never a question.
    pub version: Option<ArmVersion>,
    /// Its processor, as QEMU names the model.
    pub model: &'static str,
    /// The emulator that has it.
    pub program: &'static str,
    /// Where its memory is, without [`Self::ram`].
    pub windows: &'static [Window],
    /// The memory whose size is a matter of choice (`-m`); `None` where it is soldered.
    pub ram: Option<Ram>,
    /// Flash at the address where the processor begins. It is memory only for firmware that begins there itself, as
    /// boot loaders do: anything else linked to these addresses was built for a board with RAM at them.
    pub flash: Option<Window>,
    /// Registers of the serial ports that may be its console. Firmware that knows one of them was built for it.
    pub consoles: &'static [u32],
    /// Whether the first two of them are QEMU's first two serial ports, so that either can be the console.
    pub two_ports: bool,
    /// What QEMU must be told besides.
    pub arguments: &'static [&'static str],
    /// The core that runs the firmware, if the machine boots another.
    pub second_core: Option<SecondCore>,
}

/// A core that runs once the first one has asked PSCI for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecondCore {
    /// Its affinity (MPIDR).
    pub affinity: u16,
    /// Where the first core's few instructions can be.
    pub stub: u64,
}

/// Memory of a size that can be chosen, in MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ram {
    /// The first address.
    pub base: u64,
    /// The size when nothing is said.
    pub unsaid: u32,
    /// The largest size that QEMU takes, or anybody needs.
    pub most: u32,
}

/// The memory of `virt` where nothing else is said, in MiB.
pub const MEMORY_MB: u32 = 64;

const ARM: &str = "qemu-system-arm";
const A64: &str = "qemu-system-aarch64";
const RISCV64: &str = "qemu-system-riscv64";
const RISCV32: &str = "qemu-system-riscv32";

/// Boards with sound refuse to start on a host without it.
const SILENT: &[&str] = &["-audio", "none"];
/// ZynqMP's two R5 are its fifth and its sixth processor.
const WITH_R5: &[&str] = &["-audio", "none", "-smp", "6"];
const FIRST_R5: SecondCore = SecondCore { affinity: 4, stub: 0xfffc_0000 };

const KB: u64 = 1 << 10;
const MB: u64 = 1 << 20;

const fn at(base: u64, size: u64) -> Window {
    Window { base, size }
}

const fn ram(base: u64, unsaid: u32, most: u32) -> Ram {
    Ram { base, unsaid, most }
}

const fn m(
    machine: &'static str,
    version: ArmVersion,
    model: &'static str,
    windows: &'static [Window],
    consoles: &'static [u32],
) -> Board {
    Board {
        machine,
        family: Family::M,
        version: Some(version),
        model,
        program: ARM,
        windows,
        ram: None,
        flash: None,
        consoles,
        two_ports: false,
        arguments: &[],
        second_core: None,
    }
}

const fn a(
    machine: &'static str,
    (family, program): (Family, &'static str),
    model: &'static str,
    ram: Option<Ram>,
    windows: &'static [Window],
    consoles: &'static [u32],
) -> Board {
    Board {
        machine,
        family,
        version: None,
        model,
        program,
        windows,
        ram,
        flash: None,
        consoles,
        two_ports: false,
        arguments: &[],
        second_core: None,
    }
}

impl Board {
    const fn up_to(self, version: ArmVersion) -> Self {
        Self { version: Some(version), ..self }
    }

    const fn with_flash(self, flash: Window) -> Self {
        Self { flash: Some(flash), ..self }
    }

    const fn behind(self, second_core: SecondCore) -> Self {
        Self { second_core: Some(second_core), ..self }
    }

    const fn with_two_ports(self) -> Self {
        Self { two_ports: true, ..self }
    }

    const fn told(self, arguments: &'static [&'static str]) -> Self {
        Self { arguments, ..self }
    }
}

const V6M: ArmVersion = ArmVersion::V6M;
const V7M: ArmVersion = ArmVersion::V7;
const V7EM: ArmVersion = ArmVersion::V7EM;
const V8M: ArmVersion = ArmVersion::V8M_MAIN;
const V81M: ArmVersion = ArmVersion::V81M;
const A64_IN_A64: (Family, &str) = (Family::A64, A64);
const A32_IN_ARM: (Family, &str) = (Family::A32, ARM);
const RV64: (Family, &str) = (Family::Riscv64, RISCV64);
const RV32: (Family, &str) = (Family::Riscv32, RISCV32);

/// Flash and RAM of the boards that have more than a few windows.
const MPS2: &[Window] =
    &[at(0, 8 * MB), at(0x0100_0000, 64 * KB), at(0x2000_0000, 8 * MB), at(0x2100_0000, 16 * MB)];
const AN500: &[Window] = &[at(0, 8 * MB), at(0x2000_0000, 8 * MB), at(0x6000_0000, 16 * MB)];
const AN511: &[Window] = &[
    at(0, 256 * KB),
    at(0x0040_0000, 8 * MB),
    at(0x2000_0000, 128 * KB),
    at(0x2040_0000, 4 * MB),
    at(0x2100_0000, 16 * MB),
];
/// TrustZone shows the same memory twice, for the secure world 256 MiB higher.
const AN505: &[Window] = &[
    at(0, 8 * MB),
    at(0x1000_0000, 8 * MB),
    at(0x2000_0000, 32 * KB),
    at(0x2800_0000, 4 * MB),
    at(0x3000_0000, 32 * KB),
    at(0x3800_0000, 4 * MB),
    at(0x8000_0000, 16 * MB),
];
const AN521: &[Window] = &[
    at(0, 8 * MB),
    at(0x1000_0000, 8 * MB),
    at(0x2000_0000, 128 * KB),
    at(0x2800_0000, 4 * MB),
    at(0x3000_0000, 128 * KB),
    at(0x3800_0000, 4 * MB),
    at(0x8000_0000, 16 * MB),
];
const AN524: &[Window] = &[
    at(0, 512 * KB),
    at(0x1000_0000, 512 * KB),
    at(0x2000_0000, 128 * KB),
    at(0x2800_0000, 8 * MB),
    at(0x3000_0000, 128 * KB),
    at(0x3800_0000, 8 * MB),
    at(0x6000_0000, 2048 * MB),
];
const AN547: &[Window] = &[
    at(0, 512 * KB),
    at(0x0100_0000, 2 * MB),
    at(0x1000_0000, 512 * KB),
    at(0x1100_0000, 2 * MB),
    at(0x2000_0000, 512 * KB),
    at(0x2100_0000, 4 * MB),
    at(0x2800_0000, 8 * MB),
    at(0x3000_0000, 512 * KB),
    at(0x3100_0000, 4 * MB),
    at(0x3800_0000, 8 * MB),
    at(0x6000_0000, 2048 * MB),
];
const AN536: &[Window] =
    &[at(0, 32 * KB), at(0x0800_0000, 8 * MB), at(0x1000_0000, 512 * KB), at(0x2000_0000, 3072 * MB)];
const STM32F405: &[Window] =
    &[at(0, MB), at(0x0800_0000, MB), at(0x1000_0000, 64 * KB), at(0x2000_0000, 128 * KB)];
const STM32L475: &[Window] =
    &[at(0, MB), at(0x0800_0000, MB), at(0x1000_0000, 32 * KB), at(0x2000_0000, 96 * KB)];
const OCM_BEHIND_STUB: &[Window] = &[at(0xfffc_1000, 252 * KB)];
/// The two flash banks of Arm's `virt`.
const VIRT_FLASH: Window = at(0, 128 * MB);
const OCM: &[Window] = &[at(0xfffc_0000, 256 * KB)];

/// All of them. The first one that fits is proposed where the firmware does not say more, so the larger board
/// stands first among those with the same processor.
#[rustfmt::skip]
pub const BOARDS: &[Board] = &[
    // machine            family      model         memory by choice              other memory, consoles
    a("virt",             A64_IN_A64, "cortex-a53", Some(ram(0x4000_0000, MEMORY_MB, 1 << 20)), &[], &[0x0900_0000]).with_flash(VIRT_FLASH),
    a("raspi3b",          A64_IN_A64, "cortex-a53", None, &[at(0, 1008 * MB)],    &[0x3f20_1000, 0x3f21_5040]).with_two_ports(),
    a("raspi4b",          A64_IN_A64, "cortex-a72", None, &[at(0, 2048 * MB)],    &[0xfe20_1000, 0xfe21_5040]).with_two_ports(),
    a("xlnx-zcu102",      A64_IN_A64, "cortex-a53", Some(ram(0, 128, 2048)), OCM,       &[0xff00_0000, 0xff01_0000]).with_two_ports().told(SILENT),

    a("virt",             A32_IN_ARM, "cortex-a15", Some(ram(0x4000_0000, MEMORY_MB, 3072)), &[], &[0x0900_0000]).with_flash(VIRT_FLASH),
    a("vexpress-a9",      A32_IN_ARM, "cortex-a9",  Some(ram(0x6000_0000, 128, 1024)), &[], &[0x1000_9000]).up_to(V7M).told(SILENT),
    a("xilinx-zynq-a9",   A32_IN_ARM, "cortex-a9",  Some(ram(0, 128, 2048)), OCM,       &[0xe000_0000, 0xe000_1000]).with_two_ports().up_to(V7M),
    a("versatilepb",      A32_IN_ARM, "arm926",     Some(ram(0, 128, 256)), &[],        &[0x101f_1000]).up_to(ArmVersion::V5TE).told(SILENT),
    a("raspi2b",          A32_IN_ARM, "cortex-a7",  None, &[at(0, 1008 * MB)],    &[0x3f20_1000, 0x3f21_5040]).with_two_ports().up_to(V7M),
    a("raspi0",           A32_IN_ARM, "arm1176",    None, &[at(0, 512 * MB)],     &[0x2020_1000, 0x2021_5040]).with_two_ports().up_to(ArmVersion::V6KZ),

    a("virt",             RV64,       "rv64",       Some(ram(0x8000_0000, MEMORY_MB, 1 << 20)), &[], &[0x1000_0000]),
    a("sifive_u",         RV64,       "sifive-u54", Some(ram(0x8000_0000, 128, 4096)), &[at(0x0800_0000, 32 * MB)], &[0x1001_0000]),
    a("virt",             RV32,       "rv32",       Some(ram(0x8000_0000, MEMORY_MB, 2048)), &[], &[0x1000_0000]),
    a("sifive_e",         RV32,       "sifive-e31", None, &[at(0x2000_0000, 512 * MB), at(0x8000_0000, 16 * KB)], &[0x1001_3000]),

    m("mps2-an385",       V7M,  "cortex-m3",  MPS2,      &[0x4000_4000]),
    m("mps2-an386",       V7EM, "cortex-m4",  MPS2,      &[0x4000_4000]),
    m("mps2-an500",       V7EM, "cortex-m7",  AN500,     &[0x4000_4000]),
    m("mps2-an511",       V7M,  "cortex-m3",  AN511,     &[0x4000_4000]),
    m("lm3s6965evb",      V7M,  "cortex-m3",  &[at(0, 256 * KB), at(0x2000_0000, 64 * KB)], &[0x4000_c000]),
    m("lm3s811evb",       V7M,  "cortex-m3",  &[at(0, 64 * KB), at(0x2000_0000, 8 * KB)],   &[0x4000_c000]),
    m("netduinoplus2",    V7EM, "cortex-m4",  STM32F405, &[0x4001_1000]),
    m("olimex-stm32-h405", V7EM, "cortex-m4", STM32F405, &[0x4001_1000]),
    m("b-l475e-iot01a",   V7EM, "cortex-m4",  STM32L475, &[0x4001_3800]),
    m("netduino2",        V7M,  "cortex-m3",  &[at(0, MB), at(0x0800_0000, MB), at(0x2000_0000, 128 * KB)], &[0x4001_1000]),
    m("stm32vldiscovery", V7M,  "cortex-m3",  &[at(0, 128 * KB), at(0x0800_0000, 128 * KB), at(0x2000_0000, 8 * KB)], &[0x4001_3800]),
    m("microbit",         V6M,  "cortex-m0",  &[at(0, 256 * KB), at(0x2000_0000, 16 * KB)], &[0x4000_2000]),
    m("mps2-an505",       V8M,  "cortex-m33", AN505,     &[0x4020_0000, 0x5020_0000]),
    m("mps2-an521",       V8M,  "cortex-m33", AN521,     &[0x4020_0000, 0x5020_0000]),
    m("mps3-an524",       V8M,  "cortex-m33", AN524,     &[0x4130_3000, 0x5130_3000]),
    m("mps3-an547",       V81M, "cortex-m55", AN547,     &[0x4930_3000, 0x5930_3000]),

    a("mps3-an536",       (Family::R, ARM), "cortex-r52", None, AN536, &[0xe7c0_0000, 0xe020_5000]).up_to(ArmVersion::V8R),
    a("xlnx-zcu102",      (Family::R, A64), "cortex-r5f", Some(ram(0, 128, 2048)), OCM_BEHIND_STUB, &[0xff00_0000, 0xff01_0000]).with_two_ports().up_to(V7M).told(WITH_R5).behind(FIRST_R5),
];

/// QEMU's other Arm and RISC-V machines. Firmware runs on them as well, but where their memory is, nobody here knows.
#[rustfmt::skip]
pub(super) const OTHERS: &[&str] = &[
    "amd-versal2-virt", "ast1030-evb", "ast1060-evb", "ast2500-evb", "ast2600-evb", "ast2700-evb", "ast2700a0-evb", "ast2700a1-evb",
    "bletchley-bmc", "bpim2u", "canon-a1100", "catalina-bmc", "collie", "cubieboard", "emcraft-sf2", "fby35", "fby35-bmc",
    "fp5280g2-bmc", "fuji-bmc", "g220a-bmc", "gb200nvl-bmc", "highbank", "imx25-pdk", "imx8mm-evk", "imx8mp-evk", "integratorcp",
    "kudo-bmc", "kzm", "max78000fthr", "mcimx6ul-evk", "mcimx7d-sabre", "midway", "mori-bmc", "musca-a", "musca-b1", "musicpal",
    "npcm750-evb", "npcm845-evb", "nuri", "orangepi-pc", "palmetto-bmc", "qcom-dc-scm-v1-bmc", "qcom-firework-bmc",
    "quanta-gbs-bmc", "quanta-gsj", "quanta-q71l-bmc", "rainier-bmc", "raspi1ap", "raspi3ap", "realview-eb", "realview-eb-mpcore",
    "realview-pb-a8", "realview-pbx-a9", "romulus-bmc", "sabrelite", "sbsa-ref", "smdkc210", "sonorapass-bmc",
    "supermicro-x11spi-bmc", "supermicrox11-bmc", "sx1", "sx1-v1", "tiogapass-bmc", "versatileab", "vexpress-a15",
    "witherspoon-bmc", "xlnx-versal-virt", "yosemitev2-bmc",
    "amd-microblaze-v-generic", "boston-aia", "k230", "microchip-icicle-kit", "opentitan", "shakti_c", "spike", "tt-atlantis",
    "xiangshan-kunminghu",
];

/// QEMU's CPU models of these processors.
#[rustfmt::skip]
pub(super) const CPUS: &[&str] = &[
    "a64fx", "arm1026", "arm1136", "arm1136-r2", "arm1176", "arm11mpcore", "arm926", "arm946", "cortex-a15", "cortex-a35",
    "cortex-a53", "cortex-a55", "cortex-a57", "cortex-a7", "cortex-a710", "cortex-a72", "cortex-a76", "cortex-a78ae", "cortex-a8",
    "cortex-a9", "cortex-m0", "cortex-m3", "cortex-m33", "cortex-m4", "cortex-m55", "cortex-m7", "cortex-r5", "cortex-r52",
    "cortex-r5f", "max", "neoverse-n1", "neoverse-n2", "neoverse-v1", "pxa250", "pxa255", "pxa260", "pxa261", "pxa262", "pxa270",
    "pxa270-a0", "pxa270-a1", "pxa270-b0", "pxa270-b1", "pxa270-c0", "pxa270-c5", "sa1100", "sa1110", "ti925t",
    "lowrisc-ibex", "max32", "rv32", "rv32e", "rv32i", "rv64", "rv64e", "rv64i", "rva22s64", "rva22u64", "rva23s64", "rva23u64",
    "shakti-c", "sifive-e31", "sifive-e34", "sifive-e51", "sifive-u34", "sifive-u54", "thead-c906", "tt-ascalon", "veyron-v1",
    "x-rv128", "xiangshan-kunminghu", "xiangshan-nanhu",
];
