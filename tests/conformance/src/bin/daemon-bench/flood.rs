//! How fast a console's output gets through its broker, beside a QEMU whose console is a pipe.

use std::time::{Duration, Instant};

use libmica::attach::{Attach, From, Mode};
use libmica::client::Output;
use micrun_host_tests::firmware;
use tokio::io::AsyncWriteExt;

use crate::{Bench, bare, rank};

/// Floods in each way, in turns.
const ROUNDS: usize = 9;
const COMMAND: &str = "flood 20000\r";
/// Before the command, and after its answer.
const PROMPT: &[u8] = b"micrun> ";
const NAME: &str = "flood";

/// Measures and prints.
pub(crate) fn print(bench: &Bench) {
    let (mut bare, mut brokered, mut bytes) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let (time, count) = bare::answer(COMMAND, |seen| seen.ends_with(PROMPT));
        bare.push(time);
        let (time, through_broker) = flood(bench);
        brokered.push(time);
        assert_eq!(through_broker, count, "bytes are lost");
        bytes = count;
    }
    bare.sort_unstable();
    brokered.sort_unstable();
    println!(
        "\n<!-- broker -->\n| {bytes} bytes of FreeRTOS's console, {ROUNDS} rounds | median ms | p95 | ratio |"
    );
    println!("|---|---|---|---|");
    let least = rank(&bare, 50);
    for (name, times) in
        [("QEMU alone, into a pipe", &bare), ("micad, to a reader that may lose nothing", &brokered)]
    {
        let [median, p95] = [50, 95].map(|percent| rank(times, percent));
        println!("| {name} | {median:.1} | {p95:.1} | {:.2} |", median / least);
    }
}

fn flood(bench: &Bench) -> (Duration, usize) {
    bench.create(NAME, &firmware::demo());
    bench.start_all(&[NAME.to_owned()]);
    let attach = Attach { stream: "0".to_owned(), from: From::Start, mode: Mode::Hold };
    let answer = bench.runtime.block_on(async {
        let (mut output, mut input) = bench.client.attach(NAME, &attach).await.unwrap().split();
        read(&mut output).await;
        let begun = Instant::now();
        input.write_all(COMMAND.as_bytes()).await.unwrap();
        let count = read(&mut output).await;
        (begun.elapsed(), count)
    });
    bench.stop(NAME);
    bench.remove(NAME);
    answer
}

/// Reads to the prompt; gives how many bytes.
async fn read(output: &mut Output) -> usize {
    let mut seen = Vec::new();
    while !seen.ends_with(PROMPT) {
        seen.extend(output.next().await.unwrap().expect("the firmware runs").bytes);
    }
    seen.len()
}
