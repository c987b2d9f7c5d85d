//! The second console, which the demo serves with a shell for commands.

use std::path::PathBuf;

use libmica::CreateMessage;
use rustix::process::Signal;

use crate::harness::{Console, Daemon, demo, message};

fn terminals(status: &libmica::ClientStatus) -> Vec<(String, PathBuf)> {
    status.services.iter().map(|s| (s.name.clone(), s.device.clone().unwrap())).collect()
}

#[tokio::test]
async fn a_second_console_is_another_terminal_and_survives_the_daemon() {
    let mut daemon = Daemon::start();
    let conf = daemon.path("shell.conf");
    std::fs::write(&conf, "[Qemu]\nConsoles = 2\n").unwrap();
    let client = daemon.client();
    let two = CreateMessage { pedestal_conf: conf, ..message("two", &demo()) };
    client.create(&two).await.unwrap();
    client.start("two").await.unwrap_or_else(|e| panic!("{e}: {}", daemon.log()));
    let link = |n| daemon.run_dir().join(libmica::names::tty_name("two", n));
    let expected = vec![("rpmsg-tty".to_owned(), link(0)), ("rpmsg-tty1".to_owned(), link(1))];
    assert_eq!(terminals(&client.status("two").await.unwrap()), expected);
    let [mut first, mut second] = [0, 1].map(|n| Console::open(&link(n)));
    first.read_to("micrun> ");
    second.read_to("micrun> ");
    second.write(b"nonsense\r");
    assert!(second.read_to("micrun> ").ends_with("\r\nmicrun-exit: 127\r\nmicrun> "));
    first.write(b"echo first\r");
    assert!(first.read_to("micrun> ").contains("\r\nfirst\r\n"));

    daemon.end(Signal::TERM);
    daemon.launch();
    assert_eq!(terminals(&client.status("two").await.unwrap()), expected);
    second.write(b"echo second\r");
    assert!(second.read_to("micrun> ").contains("\r\nsecond\r\n"));
    assert_eq!(first.rest(), b"");

    // A name that looks the same gets the next number.
    client.create(&message("two", &demo())).await.unwrap_err();
    client.remove("two").await.unwrap();
    let links = std::fs::read_dir(daemon.run_dir()).unwrap().flatten();
    assert!(!links.into_iter().any(|e| e.file_name().to_string_lossy().starts_with("ttyRPMSG")));
}
