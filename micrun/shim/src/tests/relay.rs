//! Output on its way to readers that are fast, slow, late, gone or never there.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::{Receiver, Sender, pipe};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::stdio::{Identity, PATIENCE, Paths, SPILL, Streams, relay};

/// What a pipe holds (pipe(7)).
const PIPE: usize = 64 * 1024;

/// A source that can be written, a sink that can be read, and the copy between them.
struct Line {
    input: Sender,
    output: Receiver,
    ended: watch::Sender<bool>,
    copy: JoinHandle<u64>,
}

impl Line {
    fn new() -> Self {
        let (input, source) = pipe().unwrap();
        let (sink, output) = pipe().unwrap();
        let (ended, word) = watch::channel(false);
        let copy = tokio::spawn(async move { relay("test", &source, Some(&sink), word).await });
        Self { input, output, ended, copy }
    }
}

/// Waits for the end of the copy; gives how many bytes it lost.
async fn lost(copy: JoinHandle<u64>) -> usize {
    usize::try_from(copy.await.unwrap()).unwrap()
}

/// Bytes that show when one is missing: the number of each group of eight.
fn pattern(groups: usize) -> Vec<u8> {
    (0..groups as u64).flat_map(u64::to_be_bytes).collect()
}

/// The group numbers of what was read, which begins at the start of one.
fn groups(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks_exact(8).map(|group| u64::from_be_bytes(group.try_into().unwrap())).collect()
}

#[tokio::test]
async fn a_slow_reader_gets_every_byte() {
    let Line { mut input, mut output, ended: _ended, copy } = Line::new();
    let sent = pattern(4 * SPILL / 8);
    let expected = sent.clone();
    let writer = tokio::spawn(async move { input.write_all(&sent).await.unwrap() });
    let mut read: Vec<u8> = Vec::new();
    let mut buffer = [0; 1000];
    loop {
        match output.read(&mut buffer).await.unwrap() {
            0 => break,
            count => read.extend(&buffer[..count]),
        }
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
    assert!(read == expected, "{} of {} bytes", read.len(), expected.len());
    assert_eq!(lost(copy).await, 0);
}

/// A firmware that floods, and nobody looks: it must go on, and the end must be known.
#[tokio::test(start_paused = true)]
async fn without_a_reader_the_source_goes_on_and_the_newest_output_is_kept() {
    let Line { mut input, mut output, ended, copy } = Line::new();
    let sent = pattern(5 * SPILL / 8);
    let begin = Instant::now();
    input.write_all(&sent).await.unwrap();
    assert_eq!(begin.elapsed().as_secs(), PATIENCE.as_secs(), "it waits once");
    // The end of the source, whose last bytes are on the way.
    drop(input);
    let mut read = Vec::new();
    output.read_to_end(&mut read).await.unwrap();
    assert_eq!(lost(copy).await, sent.len() - read.len());
    drop(ended);
    let (oldest, newest) = read.split_at(PIPE);
    assert!(newest.len() >= SPILL, "{}", newest.len());
    assert!(oldest == &sent[..PIPE], "what was in the pipe already stays");
    assert!(sent.ends_with(newest), "{:?}", &groups(newest)[..2]);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_comes_late_gets_everything_from_then_on() {
    let Line { mut input, mut output, ended: _ended, copy } = Line::new();
    let sent = pattern(3 * SPILL / 8);
    input.write_all(&sent).await.unwrap();
    sleep(Duration::from_hours(1)).await;
    let after = pattern(4 * SPILL / 8);
    let expected = after.clone();
    let writer = tokio::spawn(async move { input.write_all(&after).await.unwrap() });
    let mut read = Vec::new();
    output.read_to_end(&mut read).await.unwrap();
    writer.await.unwrap();
    assert!(read.ends_with(&expected));
    assert_eq!(lost(copy).await, sent.len() + expected.len() - read.len());
}

#[tokio::test(start_paused = true)]
async fn after_the_end_the_rest_waits_for_a_reader_and_not_for_ever() {
    let Line { mut input, output, ended, copy } = Line::new();
    let sent = pattern(2 * PIPE / 8);
    input.write_all(&sent).await.unwrap();
    let begin = Instant::now();
    ended.send(true).unwrap();
    assert_eq!(lost(copy).await, sent.len() - PIPE);
    assert_eq!(begin.elapsed().as_secs(), PATIENCE.as_secs());
    drop((input, output));
}

#[tokio::test]
async fn what_was_made_before_the_end_comes_whole() {
    let Line { mut input, mut output, ended, copy } = Line::new();
    input.write_all(b"last words").await.unwrap();
    ended.send(true).unwrap();
    let mut read = Vec::new();
    output.read_to_end(&mut read).await.unwrap();
    assert_eq!((read.as_slice(), lost(copy).await), (&b"last words"[..], 0));
}

/// A logging program that dies must not take the container along.
#[tokio::test]
async fn a_sink_that_breaks_is_counted_and_holds_nobody_up() {
    let Line { mut input, output, ended: _ended, copy } = Line::new();
    drop(output);
    let sent = pattern(3 * SPILL / 8);
    input.write_all(&sent).await.unwrap();
    drop(input);
    assert_eq!(lost(copy).await, sent.len());
}

#[tokio::test]
async fn output_that_goes_nowhere_is_read_and_not_lost() {
    let (mut input, source) = pipe().unwrap();
    let (_ended, word) = watch::channel(false);
    let copy = tokio::spawn(async move { relay("test", &source, None, word).await });
    input.write_all(&pattern(2 * SPILL / 8)).await.unwrap();
    drop(input);
    assert_eq!(lost(copy).await, 0);
}

/// The shim's own share: how fast bytes get from a source through the copy into a pipe.
#[tokio::test]
#[ignore = "a measurement, which tools/bench runs"]
async fn copy_path_throughput() {
    const AMOUNT: u32 = 1 << 30;
    let socket = || {
        let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
        far.set_nonblocking(true).unwrap();
        (File::from(OwnedFd::from(near)), Receiver::from_owned_fd_unchecked(far.into()).unwrap())
    };
    let pipe = || {
        let (reader, writer) = std::io::pipe().unwrap();
        (File::from(OwnedFd::from(writer)), Receiver::from_owned_fd(reader.into()).unwrap())
    };
    println!("| 1 GiB into a FIFO | MB/s | lost |\n|---|---|---|");
    for (name, plain, (mut input, source)) in [
        ("a plain loop of read and write, from a pipe", true, pipe()),
        ("the shim's copy, from a pipe", false, pipe()),
        ("the shim's copy, from a socket pair", false, socket()),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let paths = Paths { stdout: fifo.display().to_string(), ..Paths::default() };
        let sink =
            Streams::open(&paths, Identity { namespace: "ns", id: "c" }).await.unwrap().stdout.unwrap();
        let mut output = File::open(&fifo).unwrap();
        let begin = std::time::Instant::now();
        let writer = std::thread::spawn(move || {
            let block = vec![0; PIPE];
            (0..AMOUNT as usize / PIPE).for_each(|_| input.write_all(&block).unwrap());
        });
        let reader = std::thread::spawn(move || {
            let mut buffer = vec![0; 4 * PIPE];
            let mut count = 0;
            while count < AMOUNT as usize {
                count += output.read(&mut buffer).unwrap();
            }
        });
        let lost = if plain {
            let (mut source, mut sink) = (
                File::from(source.into_blocking_fd().unwrap()),
                File::from(sink.into_blocking_fd().unwrap()),
            );
            let mut buffer = vec![0; PIPE];
            loop {
                match source.read(&mut buffer).unwrap() {
                    0 => break 0,
                    count => sink.write_all(&buffer[..count]).unwrap(),
                }
            }
        } else {
            let (_ended, word) = watch::channel(false);
            relay("test", &source, Some(&sink), word).await
        };
        writer.join().unwrap();
        reader.join().unwrap();
        println!("| {name} | {:.0} | {lost} |", f64::from(AMOUNT) / 1e6 / begin.elapsed().as_secs_f64());
        assert_eq!(lost, 0);
    }
}
