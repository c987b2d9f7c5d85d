//! Prints `docs/BOARDS.md`.
#![expect(clippy::print_stdout, reason = "the page is the result")]

fn main() {
    print!("{}", micrun_firmware::qemu::page());
}
