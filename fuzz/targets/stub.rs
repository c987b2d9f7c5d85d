//! What QEMU's gdb stub answers to the daemon while it patches firmware. The first byte says how much memory is read.
#![no_main]

#[path = "../../micrun/micad/src/error.rs"]
mod error;
#[path = "../../micrun/micad/src/gdb_packet.rs"]
mod gdb_packet;
#[path = "../../micrun/micad/src/pedestal/qemu/stub.rs"]
mod stub;

use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use error::{Error, Result};
use libfuzzer_sys::fuzz_target;
use stub::Stub;

/// All that was answered is there at once, and then the end.
fn answered(bytes: &[u8]) -> (Result<Stub>, UnixStream) {
    let (ours, mut its) = UnixStream::pair().expect("a pair of sockets");
    its.write_all(bytes).expect("it fits");
    its.shutdown(Shutdown::Write).expect("it is connected");
    // It stays open for what is asked.
    (Stub::greet(ours), its)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((size, bytes)) = bytes.split_first() else { return };
    let said = |error: &Error| {
        assert!(matches!(error, Error::Qmp(_)), "{error}: nothing is late");
        assert!(!error.to_string().contains(char::is_control), "{error:?} is fit for a terminal");
    };
    let (stub, _its) = answered(bytes);
    let mut stub = match stub {
        Ok(stub) => stub,
        Err(error) => return said(&error),
    };
    let size = usize::from(*size) * 8;
    match stub.read(0x4000_0000, size) {
        Ok(read) => assert_eq!(read.len(), size),
        Err(error) => return said(&error),
    }
    if let Err(error) = stub.write(0x4000_0000, &bytes[..bytes.len().min(size)]) {
        said(&error);
    }
});
