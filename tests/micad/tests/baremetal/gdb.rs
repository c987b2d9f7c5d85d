//! gdb on a core: what `mica gdb` runs, spoken to as gdb speaks.

use std::fs;
use std::io::{BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use libmica::{Client, ClientState, CreateMessage};

use crate::board::Board;
use crate::kernel::Behaviour;

const BASE: u64 = 0x7a00_0000;

/// What gdb starts, as it starts it.
struct Stub {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Stub {
    /// From gdb's command line: what is behind `target remote |`.
    fn start(line: &str) -> Self {
        let (_, command) = line.split_once("target remote | ").unwrap_or_else(|| panic!("{line}"));
        let mut process = Command::new("sh")
            .args(["-c", command.trim_end_matches('\'')])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
        Self { process, input, output }
    }

    fn send(&mut self, text: &str) {
        let sum = text.bytes().fold(0_u8, u8::wrapping_add);
        write!(self.input, "${text}#{sum:02x}").unwrap();
    }

    /// The next answer, without what encloses it.
    fn answer(&mut self) -> String {
        let mut text = Vec::new();
        let mut bytes = self.output.by_ref().bytes().map(Result::unwrap);
        while bytes.next().expect("an answer") != b'$' {}
        text.extend(bytes.by_ref().take_while(|byte| *byte != b'#'));
        bytes.nth(1).unwrap();
        String::from_utf8(text).unwrap()
    }

    fn ask(&mut self, text: &str) -> String {
        self.send(text);
        self.answer()
    }
}

async fn debugged() -> (Board, Client, Stub) {
    let board = Board::spare_core("yes", Behaviour::default());
    let device = board.remoteproc(0).dir.join("device");
    let general: Vec<_> = (0..31).map(|n| format!("x{n} {:016x}\n", n + 0x100)).collect();
    fs::write(
        device.join("registers"),
        general.concat() + "sp 000000007a00ff00\npc 000000007a001094\ncpsr 0000000060000305\n",
    )
    .unwrap();
    let memory = fs::File::create(device.join("memory")).unwrap();
    memory.write_all_at(b"firmware", BASE).unwrap();
    let client = board.daemon.client();
    client.create(&CreateMessage { debug: true, ..board.message("x", "3") }).await.unwrap();
    client.start("x").await.unwrap();
    let stub = Stub::start(&client.gdb("x").await.unwrap());
    (board, client, stub)
}

async fn state_is(client: &Client, state: ClientState) {
    let deadline = tokio::time::Instant::now() + crate::harness::PATIENCE;
    while client.status("x").await.unwrap().state != state {
        assert!(tokio::time::Instant::now() < deadline, "the client is not {state:?}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn registers_and_memory_of_stopped_firmware() {
    let (board, client, mut stub) = debugged().await;
    assert_eq!(stub.ask("?"), "S05");
    state_is(&client, ClientState::Suspended).await;
    assert!(stub.ask("qSupported:xmlRegisters=i386").contains("qXfer:features:read+"));
    let mut description = String::new();
    loop {
        let part = stub.ask(&format!("qXfer:features:read:target.xml:{:x},100", description.len()));
        description += &part[1..];
        if part.starts_with('l') {
            break;
        }
    }
    assert!(description.contains("<reg name=\"pc\" bitsize=\"64\"/>"), "{description}");
    let registers = stub.ask("g");
    assert_eq!(registers.len(), 2 * (33 * 8 + 4));
    assert_eq!(&registers[32 * 16..], "9410007a0000000005030060", "the program counter and the flags");
    assert_eq!(stub.ask("m7a000000,8"), "6669726d77617265");
    assert_eq!(stub.ask("M7a000004,4:57415245"), "OK");
    assert_eq!(stub.ask("m7a000000,8"), "6669726d57415245");
    // It could not stop at a breakpoint: gdb must not write one into the memory.
    assert_eq!(
        (stub.ask("Z0,7a000000,4"), stub.ask("s"), stub.ask("vMustReplyEmpty")),
        ("E01".into(), "E01".into(), String::new())
    );
    assert_eq!(stub.ask("D"), "OK");
    state_is(&client, ClientState::Running).await;
    assert!(stub.process.wait().unwrap().success());
    drop(board);
}

#[tokio::test]
async fn firmware_goes_on_and_is_stopped_again() {
    let (board, client, mut stub) = debugged().await;
    assert_eq!(stub.ask("?"), "S05");
    stub.send("c");
    state_is(&client, ClientState::Running).await;
    stub.input.write_all(b"\x03").unwrap();
    assert_eq!(stub.answer(), "S02");
    state_is(&client, ClientState::Suspended).await;
    // gdb dies: the firmware goes on.
    drop(stub.input);
    assert!(stub.process.wait().unwrap().success());
    state_is(&client, ClientState::Running).await;
    drop(board);
}

#[tokio::test]
async fn the_end_of_the_firmware_is_reported() {
    let (board, client, mut stub) = debugged().await;
    assert_eq!(stub.ask("?"), "S05");
    stub.send("c");
    state_is(&client, ClientState::Running).await;
    board.set_device(0, "exit_reason", "exited");
    board.set_device(0, "exit_status", "7");
    board.remoteproc(0).end("offline");
    assert_eq!(stub.answer(), "W07");
    assert!(stub.process.wait().unwrap().success());
}
