//! Who asks, and how a registry learns it: passwords, tokens, certificates. None of it is ever shown.
#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use micrun_host_tests::console::Console;
use micrun_host_tests::{process, wait};
use micrun_registry_tests::bench::{Bench, text};
use micrun_registry_tests::proxy::Proxy;
use micrun_registry_tests::registry::{Kind, PASSWORD, Registry};
use serde_json::Value;

const SIZE: usize = 200_000;

#[test]
fn a_trace_has_no_secret() {
    let registry = Registry::start(Kind::Password);
    let bench = Bench::default();
    let name = format!("{}/team/demo:1", registry.host());
    bench.pack(&name, "image.tar", SIZE);
    bench.login(&registry.host(), PASSWORD).success();
    let output = bench.run(&["push", "image.tar", "--plain-http", "--http-trace"]);
    for part in ["HEAD http://", "POST http://", " 202 ", "PUT http://", " 201 ", "_state=... ", " ms\n"] {
        assert!(output.stderr.contains(part) || output.stderr.contains(part.trim_end()), "{part}: {output}");
    }
    let coded = "ZW5naW5lZXI6c2VjcmV0";
    assert!(!output.stderr.contains(coded) && !output.stderr.contains(PASSWORD), "{output}");
}

#[test]
fn a_credential_helper_keeps_the_password() {
    let registry = Registry::start(Kind::Password);
    let bench = Bench::default();
    let host = registry.host();
    let helper = "#!/bin/sh\ncase $1 in store) cat >kept;; get) cat >address; [ -e kept ] && cat kept || { echo 'credentials not found in native keychain'; exit 1; };; erase) rm -f kept;; esac\n";
    let path = bench.write("bin/docker-credential-test", helper);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its own file");
    bench.write(".docker/config.json", r#"{"credsStore":"test","detachKeys":"ctrl-x"}"#);
    let search = format!("{}:{}", text(&bench.path("bin")), std::env::var("PATH").expect("a search path"));
    let run =
        |args: &[&str], input: &str| process::run_with_input(bench.command(args).env("PATH", &search), input);
    let name = format!("{host}/demo:1");
    let nobody = run(&["tags", &name, "--plain-http"], "");
    assert_eq!(nobody.status, 5, "{nobody}");
    let login = ["login", &host, "-u", "engineer", "--password-stdin", "--plain-http"];
    run(&login, PASSWORD).success();
    let config = fs::read_to_string(bench.path(".docker/config.json")).expect("readable");
    assert!(config.contains("ctrl-x") && !config.contains("auth"), "{config}");
    let none = run(&["tags", &name, "--plain-http"], "");
    assert!(none.stderr.contains("404"), "no such repository, but let in: {none}");
    run(&["logout", &host], "").success();
    assert!(!bench.path("kept").exists());
}

#[test]
fn the_file_of_credentials_is_its_owners_and_keeps_what_is_in_it() {
    let registry = Registry::start(Kind::Password);
    let bench = Bench::default();
    let host = registry.host();
    let kept = r#"{"auths":{"other.example":{"auth":"eDp5"}},"detachKeys":"ctrl-x"}"#;
    let path = bench.write("auth.json", kept);
    let login = ["login", &host, "-u", "engineer", "--password-stdin", "--plain-http"];
    process::run_with_input(bench.command(&login).env("REGISTRY_AUTH_FILE", &path), PASSWORD).success();
    let mode = fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let found: Value = serde_json::from_slice(&fs::read(&path).expect("readable")).expect("JSON");
    assert_eq!(found["detachKeys"], "ctrl-x");
    assert_eq!(found["auths"]["other.example"]["auth"], "eDp5");
    assert!(found["auths"][&host]["auth"].is_string());
    let args = ["tags", &format!("{host}/demo"), "--plain-http"];
    let none = process::run(bench.command(&args).env("REGISTRY_AUTH_FILE", &path));
    assert!(none.stderr.contains("404"), "{none}");
    assert_eq!(bench.run(&args).status, 5, "not Docker's file");
}

/// What `docker login` of some clouds stores: a token that gives tokens, and no password.
#[test]
fn an_identity_token_is_exchanged_for_tokens() {
    const IDENTITY: &str = "a-refresh-token";
    let registry = Registry::start(Kind::Open);
    let proxy = Proxy::before(&registry.host());
    proxy.want_tokens(100);
    let bench = Bench::default();
    let name = format!("{}/team/demo:1", proxy.host());
    let digest = bench.pack(&name, "image.tar", SIZE);
    let entry = format!(r#"{{"auth":"PHRva2VuPjo=","identitytoken":"{IDENTITY}"}}"#);
    bench.write(".docker/config.json", format!(r#"{{"auths":{{"{}":{entry}}}}}"#, proxy.host()));
    let output = bench.run(&["push", "image.tar", "--plain-http", "--http-trace"]);
    let asked = proxy.requests("POST", "/token");
    assert!(!asked.is_empty() && proxy.requests("GET", "/token").is_empty(), "{output}");
    let form = String::from_utf8_lossy(&asked[0].body).into_owned();
    for part in [
        "grant_type=refresh_token",
        "service=test",
        "refresh_token=a-refresh-token",
        "scope=repository%3Ateam%2Fdemo%3Apull%2Cpush",
    ] {
        assert!(form.split('&').any(|it| it == part), "{part} in {form}");
    }
    assert!(asked[0].header("authorization").is_none());
    let trace = &output.stderr;
    assert!(trace.contains("POST http://") && trace.contains("/token"), "{output}");
    assert!(!trace.contains(IDENTITY) && !trace.contains("token-1"), "{output}");
    assert_eq!(output.success().trim_end(), digest);
}

#[test]
fn login_asks_on_a_terminal_and_does_not_show_what_is_typed() {
    let registry = Registry::start(Kind::Password);
    let bench = Bench::default();
    let host = registry.host();
    let command = bench.command(&["login", &host, "-u", "engineer", "--plain-http", "--retries", "0"]);
    let words: Vec<_> = [command.get_program()].into_iter().chain(command.get_args()).collect();
    let home = text(&bench.path("")).to_owned();
    let mut login = Command::new("env");
    login
        .args(["-C", &home, &format!("HOME={home}")])
        .args(["sh", "-c", "stty sane; exec \"$@\"", "sh"])
        .args(words);
    let mut console = Console::terminal(&login);
    console.expect(&format!("Password of engineer at {host}: "));
    wait::until("what is typed is not shown", || (!console.echoes()).then_some(()));
    console.send(&format!("{PASSWORD}\n"));
    let (status, shown) = (console.wait(), console.output());
    assert!(status == 0 && shown.contains("logged in to") && !shown.contains(PASSWORD), "{status}: {shown}");
    assert!(bench.run(&["tags", &format!("{host}/demo"), "--plain-http"]).stderr.contains("404"));
}

#[test]
fn login_without_a_terminal_says_how_to_give_the_password() {
    let bench = Bench::default();
    let output = bench.run(&["login", "registry.invalid", "-u", "engineer"]);
    assert_eq!(output.status, 2, "{output}");
    assert!(output.stderr.contains("give it with --password-stdin"), "{output}");
}

/// A registry that lets in who has a certificate.
#[test]
fn a_certificate_of_our_own_is_shown_to_the_registry() {
    let bench = Bench::default();
    let [certificate, key] = bench.certificate("server");
    let [client, client_key] = bench.certificate("client");
    let registry = Registry::start(Kind::TlsOfClients(&certificate, &key, &client));
    let name = format!("{}/demo:1", registry.host());
    let digest = bench.pack(&name, "image.tar", SIZE);
    let folder = format!("certs/{}", registry.host());
    let read = |path| fs::read(path).expect("readable");
    bench.write(&format!("{folder}/ca.crt"), read(&certificate));
    let push = ["push", "image.tar", "--hosts-dir", "certs", "--retries", "0"];
    assert_eq!(bench.run(&push).status, 1, "it shows no certificate");
    // As Docker has it.
    bench.write(&format!("{folder}/client.cert"), read(&client));
    bench.write(&format!("{folder}/client.key"), read(&client_key));
    assert_eq!(bench.run(&push).success().trim_end(), digest);
    let lost = bench.path(&format!("{folder}/client.key"));
    fs::remove_file(lost).expect("it is there");
    let refused = bench.run(&push);
    assert!(refused.status == 2 && refused.stderr.contains("client.key cannot be used"), "{refused}");
    // As containerd has it.
    let hosts = "ca = 'ca.crt'\nclient = [['../../client.crt', '../../client.key']]\n";
    bench.write(&format!("{folder}/hosts.toml"), hosts);
    assert_eq!(bench.run(&["resolve", &name, "--hosts-dir", "certs"]).success().trim_end(), digest);
}
