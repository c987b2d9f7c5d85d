//! Environment and arguments of a container, which a firmware on the qemu pedestal finds as its kernel command line.

use micrun_host_tests::Host;
use micrun_host_tests::containerd::ctr_piped;
use micrun_host_tests::firmware::{self, PROMPT};
use micrun_host_tests::host::{DEMO, MICA};

/// Runs the demo and asks it for its command line.
fn command_line(host: &Host, options: &[&str], image: &str, arguments: &[&str]) -> String {
    let args = [&["run", "--rm", "--runtime", MICA], options, &[image, "rtos"], arguments].concat();
    let mut console = ctr_piped(&args);
    console.expect(PROMPT);
    console.send("args\r");
    // The echo, then the answer.
    console.expect("args\r\n");
    let answer = console.expect(PROMPT);
    console.send("exit\r");
    assert_eq!(console.wait(), 0);
    host.assert_clean();
    answer.trim_end_matches(PROMPT).trim_end().to_owned()
}

#[test]
fn environment_and_arguments_reach_the_firmware() {
    let host = Host::start();
    let environment = ["--env", "RATE=100", "--env", "GREETING=good day"];
    let line = command_line(&host, &environment, DEMO, &["/firmware.elf", "verbose", "two words"]);
    assert_eq!(line, r#"RATE=100 GREETING="good day" -- verbose "two words""#);
    // An image says nothing but what it runs.
    assert_eq!(command_line(&host, &[], DEMO, &[]), "");
}

#[test]
fn what_the_image_appends_stands_in_front() {
    let host = Host::start();
    let conf = micrun_host_tests::isolation::state_dir().join("client.conf");
    let text = "[Mica]\nName=demo\nClientPath=/firmware.elf\nPedestal=qemu\n[Qemu]\nMachine=virt,gic-version=3\nAppend=quiet x=1\n";
    std::fs::write(&conf, text).expect("/run is private and writable");
    let image = "localhost/micrun/append:1";
    let options = ["--client-conf", conf.to_str().expect("UTF-8")];
    host.import(&firmware::pack(&firmware::demo(), image, &options));
    assert_eq!(command_line(&host, &["--env", "A=b"], image, &[]), "quiet x=1 A=b");
}
