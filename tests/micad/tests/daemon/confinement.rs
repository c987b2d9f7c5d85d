//! What QEMU may do: nothing it need not.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;

use libmica::{ClientState, CreateMessage};

use crate::harness::{Daemon, PATIENCE, message};
use crate::tiny_elf;

fn field<'a>(status: &'a str, name: &str) -> Vec<&'a str> {
    let line = status.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.split_ascii_whitespace().collect()
}

#[tokio::test]
async fn each_qemu_is_alone() {
    let daemon = Daemon::start();
    let echo = tiny_elf::echo(daemon.dir());
    let mut users = Vec::new();
    for name in ["first", "second", "third"] {
        let client = daemon.boot(name, &echo).await;
        let proc = format!("/proc/{}", client.stats(name).await.unwrap().pid);
        let status = fs::read_to_string(format!("{proc}/status")).unwrap();
        let user = field(&status, "Uid")[0].to_owned();
        assert_eq!(field(&status, "Uid"), [&user; 4]);
        assert_eq!(field(&status, "Gid"), [&user; 4]);
        assert!(user.parse::<u32>().unwrap() >= 1_900_000_000 && !users.contains(&user), "{user}: {users:?}");
        users.push(user);
        assert_eq!(field(&status, "Groups"), [""; 0]);
        assert_eq!(field(&status, "NoNewPrivs"), ["1"]);
        assert_eq!(field(&status, "Seccomp"), ["2"]);
        assert_eq!(field(&status, "THP_enabled"), ["0"]);
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(field(&status, set), ["0000000000000000"], "{set}");
        }
        let limits = fs::read_to_string(format!("{proc}/limits")).unwrap();
        let core = limits.lines().find(|l| l.starts_with("Max core file size")).unwrap();
        assert!(core.split_ascii_whitespace().nth(4) == Some("0"), "{core}");
        for namespace in ["ipc", "mnt", "net", "pid", "uts"] {
            let of = |p: &str| fs::read_link(format!("{p}/ns/{namespace}")).unwrap();
            assert_ne!(of(&proc), of("/proc/self"), "{namespace}");
        }
        assert_eq!(fs::read(format!("{proc}/environ")).unwrap(), b"");
        let mine: Vec<_> =
            fs::read_dir(format!("{proc}/cwd")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(mine, ["firmware"]);
        let fds: Vec<String> = fs::read_dir(format!("{proc}/fd"))
            .unwrap()
            .map(|fd| fs::read_link(fd.unwrap().path()).unwrap().to_str().unwrap().to_owned())
            .collect();
        let known = ["/dev/null", "/dev/ptmx", "/dev/pts/", "anon_inode:", "socket:"];
        for fd in &fds {
            assert!(fd.ends_with("/qemu.log") || known.iter().any(|k| fd.starts_with(k)), "{fd} in {fds:?}");
        }
        assert_eq!(
            fds.iter().filter(|fd| fd.starts_with("socket:")).count(),
            2,
            "QMP and its connection: {fds:?}"
        );
        if name == "second" {
            // Its user is nobody's by now, and does not come again.
            client.remove(name).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_firmware_that_was_checked_is_the_one_that_runs() {
    let daemon = Daemon::start();
    let path = tiny_elf::echo(daemon.dir());
    let client = daemon.boot("x", &path).await;
    fs::write(&path, "changed").unwrap();
    let pid = client.stats("x").await.unwrap().pid;
    let copy = format!("/proc/{pid}/cwd/firmware");
    assert!(fs::read(&copy).unwrap().starts_with(b"\x7fELF"));
    let metadata = fs::metadata(&copy).unwrap();
    assert_eq!((metadata.uid(), metadata.mode() & 0o777), (0, 0o444), "nobody else can write");
}

#[tokio::test]
async fn gdb_reaches_the_firmware_by_a_private_socket() {
    let daemon = Daemon::start();
    let client = daemon.client();
    let debug = CreateMessage { debug: true, ..message("dbg", &tiny_elf::echo(daemon.dir())) };
    client.create(&debug).await.unwrap();
    assert!(client.gdb("dbg").await.is_err(), "nothing to debug yet");
    client.start("dbg").await.unwrap();
    let line = client.gdb("dbg").await.unwrap();
    let socket = daemon.run_dir().join("clients/dbg/gdb.sock");
    assert!(
        line.starts_with("gdb ") && line.contains(&format!("target remote {}", socket.display())),
        "{line}"
    );
    let mut gdb = UnixStream::connect(socket).unwrap();
    gdb.set_read_timeout(Some(PATIENCE)).unwrap();
    // "Why did the target stop?", and its checksum (GDB remote serial protocol).
    gdb.write_all(b"+$?#3f").unwrap();
    let mut answer = [0; 8];
    gdb.read_exact(&mut answer[..4]).unwrap();
    assert_eq!(&answer[..4], b"+$T0");
    // The stub froze the firmware before it answered; the daemon is told so.
    let frozen = async { while client.status("dbg").await.unwrap().state != ClientState::Suspended {} };
    tokio::time::timeout(PATIENCE, frozen).await.expect("the debugged firmware is not shown as frozen");
}
