//! What a QEMU can do that firmware has taken over: system calls are injected into it, and into one without a jail.
//!
//! The answers make the table of docs/SECURITY.md.

mod attempts;
mod files;
mod injector;
mod page;

use std::cell::RefCell;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use attempts::Attempt;
use injector::{Answer, Injector};
use nix::unistd::Pid;

use crate::harness::Daemon;
use crate::tiny_elf;

/// A user that nothing else runs as.
const NOBODY: u32 = 1_899_999_999;

/// Makes every attempt in processes that `start` starts: those that survive nothing get a new one.
async fn try_all(start: impl AsyncFn() -> Pid) -> Vec<Answer> {
    let mut victim = Injector::attach(start().await);
    let mut answers = Vec::new();
    for attempt in attempts::all() {
        let answer = victim.call(&attempt);
        if answer == Answer::Killed || (attempt.replaces && answer == Answer::Done) {
            drop(victim);
            victim = Injector::attach(start().await);
        }
        answers.push(answer);
    }
    answers
}

async fn in_a_jail(attempts: &[Attempt]) -> Vec<Answer> {
    let daemon = Daemon::start();
    let client = daemon.create("victim", &tiny_elf::spins(daemon.dir())).await;
    let answers = try_all(async || {
        // The one before may be dead, and may not be.
        let _ = client.stop("victim").await;
        client.start("victim").await.unwrap_or_else(|e| panic!("{e}: {}", daemon.log()));
        Pid::from_raw(i32::try_from(client.stats("victim").await.unwrap().pid).unwrap())
    })
    .await;
    assert_eq!(answers.len(), attempts.len());
    answers
}

/// A QEMU as a user starts it.
struct Plain(Child);

impl Plain {
    /// Starts one in a folder of its own user's.
    fn start(folder: &Path) -> Self {
        let mut command = Command::new("qemu-system-aarch64");
        command.args(["-machine", "virt", "-display", "none", "-nodefaults", "-S"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.uid(NOBODY).gid(NOBODY).current_dir(folder).spawn().unwrap())
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn without_a_jail() -> Vec<Answer> {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    let all = RefCell::new(Vec::new());
    try_all(async || {
        let plain = Plain::start(folder.path());
        let pid = Pid::from_raw(i32::try_from(plain.0.id()).unwrap());
        all.borrow_mut().push(plain);
        pid
    })
    .await
}

#[tokio::test]
async fn every_attempt_is_refused_and_the_page_says_how() {
    let attempts = attempts::all();
    let jailed = in_a_jail(&attempts).await;
    for (attempt, answer) in attempts.iter().zip(&jailed) {
        assert_ne!(*answer, Answer::Done, "{}", attempt.what);
    }
    let plain = without_a_jail().await;
    let done = plain.iter().filter(|answer| **answer == Answer::Done).count();
    assert!(done > 15, "without a jail, only {done} attempts came through: is the injection right?");
    page::check(&attempts, &plain, &jailed);
}
