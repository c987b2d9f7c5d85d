//! Prints `docs/MICRUN_CONF.md`.
#![expect(clippy::print_stdout, reason = "the page is the result")]

fn main() {
    print!("{}", micrun_firmware::host_conf::page());
}
