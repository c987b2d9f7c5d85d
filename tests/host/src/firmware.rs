//! The demo firmware, and images of it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::isolation;
use crate::process::{self, Output};

/// What the demo firmware prints first.
pub const BANNER: &str = "micrun FreeRTOS demo\r\n";
/// What its shell prints when it waits for a command.
pub const PROMPT: &str = "micrun> ";

/// The FreeRTOS demo; `MICRUN_TEST_FIRMWARE_DIR` names another folder to take it from.
pub fn demo() -> PathBuf {
    built("freertos-demo.elf")
}

/// [`demo`] with another message and another limit at the same addresses.
pub fn patched_demo() -> PathBuf {
    built("freertos-demo-patched.elf")
}

/// The demo for a core beside Linux.
pub fn spare_core() -> PathBuf {
    built("freertos-spare-core.elf")
}

/// [`spare_core`] with another message and another limit at the same addresses.
pub fn patched_spare_core() -> PathBuf {
    built("freertos-spare-core-patched.elf")
}

/// The firmware that prints one line and powers off, without an exit record.
pub fn hello() -> PathBuf {
    built("hello.elf")
}

/// Firmware that shows no sign of life: `wait`, `spin` or `fault`.
pub fn mute(kind: &str) -> PathBuf {
    built(&format!("mute-{kind}.elf"))
}

/// The demo for a Cortex-M3, QEMU's machine `mps2-an385`.
pub fn demo_for_cortex_m() -> PathBuf {
    built("freertos-cortex-m.elf")
}

/// The demo for RISC-V, QEMU's machine `virt` in machine mode.
pub fn demo_for_riscv() -> PathBuf {
    built("freertos-riscv.elf")
}

/// The same for its 32-bit processors.
pub fn demo_for_riscv32() -> PathBuf {
    built("freertos-riscv32.elf")
}

/// U-Boot for one of QEMU's machines, as Debian's package u-boot-qemu has it.
pub fn u_boot(board: &str) -> PathBuf {
    let path = Path::new("/usr/lib/u-boot").join(board).join("uboot.elf");
    assert!(path.exists(), "{} is not there: run `tools/setup boards`", path.display());
    path
}

/// OpenSBI for RISC-V of 64 bits, as Debian's package opensbi has it: it jumps to where S-mode firmware is linked.
pub fn open_sbi() -> Vec<u8> {
    let path = "/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_jump.bin";
    fs::read(path).unwrap_or_else(|error| panic!("{path}: {error}: run `tools/setup boards`"))
}

fn built(name: &str) -> PathBuf {
    let folder = env::var_os("MICRUN_TEST_FIRMWARE_DIR").map(PathBuf::from);
    let path = folder.unwrap_or_else(|| isolation::workspace().join("build/firmware")).join(name);
    assert!(path.exists(), "{} is not built: run `make firmware firmware-boards`", path.display());
    path
}

/// The content of [`demo`].
pub fn demo_bytes() -> Vec<u8> {
    fs::read(demo()).expect("the demo can be read")
}

/// Runs the image builder.
pub fn builder(args: &[&str]) -> Output {
    process::run(Command::new(isolation::binary("micrun-image-builder")).args(args))
}

/// Packs a firmware into an archive for containerd, with more options of the builder; answers the archive.
pub fn pack(elf: &Path, name: &str, options: &[&str]) -> PathBuf {
    let archive = isolation::state_dir().join("firmware.tar");
    let (elf, output) = (elf.to_str().expect("UTF-8"), archive.to_str().expect("UTF-8"));
    let args = [&["pack", elf, "--tag", name, "--output", output], options].concat();
    builder(&args).success();
    archive
}
