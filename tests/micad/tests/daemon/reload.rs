//! SIGHUP: the configuration is read again.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use libmica::{Client, ClientState, CreateMessage};
use micrun_host_tests::isolation;
use rustix::process::{Pid, Signal};
use serde_json::Value;

use crate::connections::as_nobody;
use crate::harness::{Daemon, eventually, message};
use crate::tiny_elf;

/// A daemon with a configuration file.
fn start(text: &str) -> (Daemon, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("micad.conf");
    fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap().to_owned();
    (Daemon::start_in(dir, &["--config", &path]), file)
}

/// Has the daemon read its configuration again, and waits until it says these words.
async fn reload(daemon: &Daemon, words: &str) {
    let before = daemon.log().len();
    let pid = Pid::from_raw(i32::try_from(daemon.pid()).unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::HUP).unwrap();
    eventually(words, || daemon.log()[before..].contains(words)).await;
}

async fn create(client: &Client, name: &str, message: CreateMessage) -> Result<(), String> {
    client.create(&CreateMessage { name: name.to_owned(), ..message }).await.map_err(|e| e.to_string())
}

#[tokio::test]
async fn policy_and_users_change_and_firmware_runs_on() {
    let (daemon, file) = start("[Micad]\n");
    let echo = tiny_elf::echo(daemon.dir());
    let client = daemon.boot("old", &echo).await;
    assert!(!as_nobody(&daemon, &["list"]).status.success());
    fs::write(&file, "[Micad]\nAllowedUids = 65534\n[Policy]\nMaxMemory = 32\n").unwrap();
    reload(&daemon, "the configuration was read again: AllowedUids, [Policy] changed").await;
    assert!(as_nobody(&daemon, &["list"]).status.success());
    let large = CreateMessage { memory: 64, ..message("", &echo) };
    let refusal = create(&client, "large", large.clone()).await.unwrap_err();
    assert!(refusal.contains("MaxMemory in ") && refusal.contains(" is 32"), "{refusal}");
    create(&client, "small", CreateMessage { memory: 32, ..message("", &echo) }).await.unwrap();
    // What the shim is told is what is in force.
    assert_eq!(client.version().await.unwrap().policy.unwrap().max_memory_mb, Some(32));
    // What was started before is asked again at its next start only.
    assert_eq!(client.status("old").await.unwrap().state, ClientState::Running);
    client.stop("old").await.unwrap();
    let refusal = client.start("old").await.unwrap_err().to_string();
    assert!(refusal.contains("MaxMemory in "), "{refusal}");
    fs::remove_file(&file).unwrap();
    fs::write(&file, "").unwrap();
    reload(&daemon, "the configuration was read again: AllowedUids, [Policy] changed").await;
    client.start("old").await.unwrap();
    assert!(!as_nobody(&daemon, &["list"]).status.success());
    reload(&daemon, "the configuration was read again: nothing changed").await;
}

/// Users are let in and kept out by the list that was read last, at sockets that are there already.
#[tokio::test]
async fn sockets_open_and_close_with_the_list() {
    let (daemon, file) = start("[Micad]\n");
    let sockets = ["mica-create.socket", "x.socket"].map(|name| daemon.run_dir().join(name));
    daemon.boot("x", &tiny_elf::echo(daemon.dir())).await;
    let modes = || {
        let mode = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        [mode(&daemon.run_dir()), mode(&sockets[0]), mode(&sockets[1])]
    };
    assert_eq!(modes(), [0o700, 0o600, 0o600]);
    fs::write(&file, "[Micad]\nAllowedUids = 65534\n").unwrap();
    reload(&daemon, "AllowedUids changed").await;
    // The group's place in a mode is what the users of a list can have.
    assert_eq!(modes(), [0o750, 0o660, 0o660]);
    fs::write(&file, "[Micad]\n").unwrap();
    reload(&daemon, "AllowedUids changed").await;
    assert_eq!(modes(), [0o700, 0o600, 0o600]);
}

#[tokio::test]
async fn a_file_that_is_broken_or_gone_changes_nothing_and_says_why() {
    let (daemon, file) = start("[Micad]\nAllowedUids = 65534\n");
    fs::write(&file, "[Micad]\nAllowedUids = root\n[Policy]\nMaxMemory = 1\n").unwrap();
    let place = file.display();
    let words =
        format!("error: the configuration stays as it is: {place}: line 2: [Micad] AllowedUids: \"root\"");
    reload(&daemon, &words).await;
    fs::remove_file(&file).unwrap();
    reload(&daemon, &format!("error: the configuration stays as it is: cannot read {place}: ")).await;
    assert!(as_nobody(&daemon, &["list"]).status.success());
    let echo = tiny_elf::echo(daemon.dir());
    create(&daemon.client(), "x", CreateMessage { memory: 64, ..message("", &echo) }).await.unwrap();
}

#[tokio::test]
async fn what_cannot_change_is_told() {
    let (daemon, file) = start("[Micad]\nQemuUidBase = 1900000000\n");
    fs::write(&file, "[Micad]\nQemuUidBase = 1800000000\nFirmwareDir = /lib/firmware\nNonsense = 1\n")
        .unwrap();
    reload(&daemon, "the configuration was read again: nothing changed").await;
    let log = daemon.log();
    for words in [
        "warn: QemuUidBase stays \"1900000000\" until micad is started anew, which will have it be \"1800000000\"",
        "warn: FirmwareDir stays \"\" until micad is started anew, which will have it be \"/lib/firmware\"",
        "the key \"nonsense\" is not known and is ignored",
    ] {
        assert!(log.contains(words), "{words}: {log}");
    }
}

#[tokio::test]
async fn machines_wait_or_not_as_the_file_says_now() {
    let (daemon, file) = start("[Micad]\n");
    let client = daemon.client();
    let echo = tiny_elf::echo(daemon.dir());
    let machines = async || client.version().await.unwrap().pools.unwrap().machines;
    assert_eq!(machines().await, None);
    fs::write(&file, "[Micad]\nWaitingMachines = 1\n").unwrap();
    reload(&daemon, "WaitingMachines changed").await;
    assert_eq!(machines().await.unwrap().most, 1);
    daemon.boot("x", &echo).await;
    while machines().await.unwrap().ready == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    client.stop("x").await.unwrap();
    client.start("x").await.unwrap();
    assert_eq!(machines().await.unwrap().hits, 1);
    fs::write(&file, "[Micad]\nWaitingMachines = 0\n").unwrap();
    reload(&daemon, "WaitingMachines changed").await;
    assert_eq!(machines().await, None);
    let waiting = daemon.run_dir().join("waiting");
    let left = || {
        fs::read_dir(&waiting).map_or(0, |entries| {
            let pids = entries.flatten().filter_map(|entry| fs::read(entry.path().join("process.json")).ok());
            let pids = pids.filter_map(|text| serde_json::from_slice::<Value>(&text).ok()?["pid"].as_u64());
            pids.filter(|pid| crate::harness::is_alive(u32::try_from(*pid).unwrap())).count()
        })
    };
    eventually("no machine waits", || left() == 0).await;
    // The one that was taken runs on.
    assert_eq!(client.status("x").await.unwrap().state, ClientState::Running);
}

#[tokio::test]
async fn the_format_of_the_log_changes() {
    let (daemon, file) = start("[Micad]\n");
    fs::write(&file, "[Micad]\nLogFormat = json\n").unwrap();
    reload(&daemon, "\"msg\":\"the configuration was read again: LogFormat changed\"").await;
    fs::write(&file, "[Micad]\nLogFormat = xml\n").unwrap();
    reload(&daemon, "is no format of log lines; write plain, logfmt or json").await;
}

/// Whoever may not look is not told that nothing is there.
#[test]
fn a_user_who_may_not_look_is_told_so() {
    use std::os::unix::process::CommandExt;
    let daemon = Daemon::start();
    for arguments in [&["status"][..], &["list"], &["stop", "x"], &["version"]] {
        let mut command = std::process::Command::new(isolation::binary("mica"));
        command.uid(65534).gid(65534).arg("--runtime-dir").arg(daemon.run_dir()).args(arguments);
        let output = command.output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(error.contains("this user may not reach the mica daemon at "), "{arguments:?}: {error}");
    }
}

/// Root may look everywhere, so a path that leads nowhere stands for one that cannot be looked at.
#[tokio::test]
async fn a_path_that_cannot_be_followed_is_no_absence() {
    let dir = tempfile::tempdir().unwrap();
    let etc = dir.path().join("etc");
    fs::create_dir(&etc).unwrap();
    std::os::unix::fs::symlink("loop.conf", etc.join("loop.conf")).unwrap();
    let daemon = Daemon::start_in(dir, &[]);
    assert!(daemon.log().contains("loop.conf: Too many levels of symbolic links"), "{}", daemon.log());
    let looped = daemon.path("loop.elf");
    std::os::unix::fs::symlink("loop.elf", &looped).unwrap();
    let refusal = daemon.client().create(&message("x", &looped)).await.unwrap_err().to_string();
    assert!(refusal.contains("cannot look for ") && refusal.contains("Too many levels"), "{refusal}");
    let absent =
        daemon.client().create(&message("x", &daemon.path("none.elf"))).await.unwrap_err().to_string();
    assert!(absent.contains("No such file: "), "{absent}");
}
