//! Traces of containers, at a real collector and without one that works.
#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use micrun_host_tests::archive::Image;
use micrun_host_tests::collector::{Collector, ENDPOINT, Span, ancestors};
use micrun_host_tests::containerd::{ctr, ctr_piped};
use micrun_host_tests::firmware::PROMPT;
use micrun_host_tests::host::{DEMO, MICA};
use micrun_host_tests::system::Process;
use micrun_host_tests::{Host, isolation, process, wait};

const SHIM: &str = "containerd-shim-mica-v2";
const IMAGE: &str = "localhost/busybox:1";
/// The batch is sent this soon, so that a test need not wait for it.
const SOON: (&str, &str) = ("OTEL_BSP_SCHEDULE_DELAY", "100");

fn host(more: &[(&'static str, &str)]) -> Host {
    let host = Host::traced(ENDPOINT, &[&[SOON], more].concat());
    host.import_image(Image::busybox(IMAGE, &["/bin/busybox", "sh"]));
    host
}

/// The span of an rpc, under whichever version of the Task API containerd speaks.
#[track_caller]
fn rpc(collector: &Collector, method: &str, container: &str) -> Span {
    collector.until(&format!("{method} of {container}"), |spans| {
        let is_it = |span: &&Span| {
            span.service == SHIM
                && span.kind == "SERVER"
                && span.name.starts_with("containerd.task.v")
                && span.name.ends_with(&format!(".Task/{method}"))
                && span.attributes.get("container.id").is_some_and(|id| id == container)
        };
        spans.iter().find(is_it).cloned()
    })
}

#[test]
fn a_firmware_has_one_trace_through_shim_and_daemon() {
    let collector = Collector::start();
    let host = host(&[]);
    let mut console = host.run_demo("motor");
    console.expect(PROMPT);
    console.send("exit 7\r");
    assert_eq!(console.wait(), 7);

    let create = rpc(&collector, "Create", "motor");
    assert_eq!(create.attributes["micrun.engine"], "rtos");
    assert_eq!(create.attributes["rpc.system"], "ttrpc");
    assert!(create.attributes["process.pid"].parse::<u32>().is_ok_and(|pid| pid > 1));
    let start = rpc(&collector, "Start", "motor");
    for (request, command, child) in
        [(&create, "mica create", None), (&start, "mica start", Some("load firmware"))]
    {
        let answered = collector.span("micad", command, "motor");
        assert_eq!((answered.trace.as_str(), answered.kind.as_str()), (request.trace.as_str(), "SERVER"));
        let spans = collector.spans();
        let up: Vec<_> =
            ancestors(&answered, &spans).into_iter().map(|span| (span.service, span.kind)).collect();
        let [asked, by, ..] = &up[1..] else { panic!("{command} is for nothing: {up:?}") };
        assert_eq!((asked.0.as_str(), asked.1.as_str()), (SHIM, "CLIENT"));
        assert_eq!((by.0.as_str(), by.1.as_str()), (SHIM, "SERVER"));
        if let Some(child) = child {
            let inner =
                spans.iter().find(|span| span.service == "micad" && span.name == child).expect("it is there");
            assert_eq!(inner.parent, answered.id);
        }
    }
    let exit = collector.span(SHIM, "exit", "motor");
    assert_eq!((exit.trace, exit.attributes["process.exit.code"].as_str()), (start.trace.clone(), "7"));
    let wait = rpc(&collector, "Wait", "motor");
    assert_eq!(wait.attributes["process.exit.code"], "7");

    let field = format!("trace_id=\"{}\"", start.trace);
    assert!(host.containerd.log().contains(&field), "no line of the shim has {field}");
    let log = host.micad.as_ref().expect("it runs").log();
    assert!(log.contains(&field), "no line of the daemon has {field}: {log}");
    host.delete_container("motor");
    host.assert_clean();
}

#[test]
fn a_linux_process_knows_for_which_trace_it_runs() {
    let collector = Collector::start();
    let host = host(&[]);
    let told = isolation::state_dir().join("told");
    let script =
        format!("echo \"$TRACEPARENT\" >{}; exec 5<&-; exec /bin/cat <&3 >/dev/null\n", told.display());
    let logger = process::script("logger", &script);
    let shell = ["/bin/busybox", "sh", "-c", "echo \"$TRACEPARENT\"; exec /bin/busybox sleep 1000"];
    let mut container = ctr_piped(&[&["run", "--runtime", MICA, IMAGE, "one"][..], &shell].concat());
    let create = rpc(&collector, "Create", "one");
    assert_eq!(create.attributes["micrun.engine"], "linux");
    container.expect(&format!("00-{}-{}-01\n", create.trace, create.id));
    let asked = ["tasks", "exec", "--exec-id", "two", "one", "/bin/busybox", "sh", "-c", "echo $TRACEPARENT"];
    let said = ctr(&asked).success();
    let start = collector.until("Start of the exec", |spans| {
        let of_exec = |span: &&Span| span.attributes.get("micrun.exec.id").is_some_and(|id| id == "two");
        spans.iter().filter(of_exec).find(|span| span.name.ends_with("/Start")).cloned()
    });
    assert_eq!(said, format!("00-{}-{}-01\n", start.trace, start.id));
    let runtime = collector.until("the OCI runtime", |spans| {
        let of_exec = |span: &&Span| span.parent == start.id && span.name.ends_with(" exec");
        spans.iter().find(of_exec).cloned()
    });
    assert_eq!(runtime.attributes["container.id"], "one");

    let own = ["--env", "TRACEPARENT=mine", "--rm"];
    let echo = [IMAGE, "own", "/bin/busybox", "sh", "-c", "echo $TRACEPARENT"];
    assert_eq!(ctr(&[&["run", "--runtime", MICA][..], &own, &echo].concat()).success(), "mine\n");
    let uri = format!("binary://{}", logger.display());
    let echo = [IMAGE, "logged", "/bin/busybox", "true"];
    ctr(&[&["run", "--detach", "--runtime", MICA, "--log-uri", &uri][..], &echo].concat()).success();
    let with_program = rpc(&collector, "Create", "logged");
    let said = fs::read_to_string(&told).expect("the logger has run");
    assert!(said.starts_with(&format!("00-{}-", with_program.trace)), "{said}");
    host.await_task_state("logged", "STOPPED");
    host.delete_task("logged");
    host.delete_container("logged");
    host.kill("one", "SIGKILL");
    assert_eq!(container.wait(), 137);
    host.delete_container("one");
    host.assert_clean();
}

/// On its command line, and only if it is asked to.
#[test]
fn firmware_knows_for_which_trace_it_runs() {
    let collector = Collector::start();
    let host = host(&[]);
    for (id, asks) in [("told", true), ("untold", false)] {
        let annotation = format!("org.openeuler.micrun.container.trace_context={asks}");
        let mut console = ctr_piped(&["run", "--annotation", &annotation, "--runtime", MICA, DEMO, id]);
        console.expect(PROMPT);
        console.send("args\r");
        console.expect("args\r\n");
        let create = rpc(&collector, "Create", id);
        let told = console.expect(PROMPT);
        let wanted = format!("TRACEPARENT=00-{}-", create.trace);
        assert_eq!(told.contains(&wanted), asks, "{id}: no {wanted} in {told:?}");
        assert_eq!(told.contains("TRACEPARENT"), asks, "{told:?}");
        console.send("exit 0\r");
        assert_eq!(console.wait(), 0);
        host.delete_container(id);
    }
    host.assert_clean();
}

#[test]
fn what_is_not_sampled_leaves_no_trace() {
    let collector = Collector::start();
    let host = host(&[("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0")]);
    let echo = [IMAGE, "one", "/bin/busybox", "sh", "-c", "echo \"<$TRACEPARENT>\""];
    assert_eq!(ctr(&[&["run", "--rm", "--runtime", MICA][..], &echo].concat()).success(), "<>\n");
    let mut console = host.run_demo("motor");
    console.expect(PROMPT);
    console.send("exit 0\r");
    assert_eq!(console.wait(), 0);
    host.delete_container("motor");
    host.assert_clean();
    // Both shims have ended, and with them their batches.
    let spans = collector.spans().into_iter().filter(|span| span.service == SHIM || span.service == "micad");
    assert_eq!(spans.map(|span| span.name).collect::<Vec<_>>(), [""; 0]);
}

/// A listener in the collector's place, which does this with each connection.
fn in_its_place(mut serve: impl FnMut(std::net::TcpStream) + Send + 'static) {
    let listener = TcpListener::bind("127.0.0.1:4318").expect("the port is free");
    thread::spawn(move || listener.incoming().flatten().for_each(&mut serve));
}

/// Runs a firmware and a Linux container from their beginning to their end.
#[track_caller]
fn containers_live(host: &Host) {
    let mut console = host.run_demo("motor");
    console.expect(PROMPT);
    let echo = [IMAGE, "one", "/bin/busybox", "sh", "-c", "echo out; exit 9"];
    let output = ctr(&[&["run", "--rm", "--runtime", MICA][..], &echo].concat());
    assert_eq!((output.stdout.as_str(), output.status), ("out\n", 9));
    console.send("exit 3\r");
    assert_eq!(console.wait(), 3);
    host.delete_container("motor");
    host.assert_clean();
}

#[test]
fn without_a_collector_containers_live() {
    let host = host(&[]);
    containers_live(&host);
    wait::until("it is told that traces are lost", || {
        let log = host.containerd.log();
        let told = log.contains("traces do not reach the collector") && log.contains("spans are lost");
        told.then_some(())
    });
}

#[test]
fn with_a_collector_that_fails_containers_live() {
    in_its_place(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n");
    });
    let host = host(&[]);
    containers_live(&host);
    wait::until("it is told which status came", || {
        host.containerd.log().contains("failed with status code: 500").then_some(())
    });
}

#[test]
fn with_a_collector_that_never_answers_containers_live() {
    let mut held = Vec::new();
    in_its_place(move |stream| held.push(stream));
    // Room for fewer spans than there are.
    let mut host = host(&[("OTEL_BSP_MAX_QUEUE_SIZE", "4"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2")]);
    containers_live(&host);
    // containerd does not read the last lines of a shim that ends late, so it is the daemon whose end is looked at.
    let micad = host.micad.as_mut().expect("it runs");
    micad.restart();
    let log = micad.log();
    assert!(log.contains("spans are lost") && log.contains("the collector was too slow at the end"), "{log}");
}

#[test]
fn a_collector_that_is_killed_takes_no_container_along() {
    let collector = Collector::start();
    let host = host(&[]);
    let mut console = host.run_demo("motor");
    console.expect(PROMPT);
    rpc(&collector, "Start", "motor");
    collector.kill();
    console.send("echo still here\r");
    console.expect("\nstill here\r\n");
    console.send("exit 3\r");
    assert_eq!(console.wait(), 3);
    host.delete_container("motor");
    let collector = Collector::start();
    host.run_demo_detached("again");
    rpc(&collector, "Start", "again");
    host.remove("again");
    host.assert_clean();
}

/// Names of the threads of a running shim.
fn threads() -> Vec<String> {
    let shim = Process::running(SHIM).pop().expect("a shim runs");
    let tasks = fs::read_dir(format!("/proc/{}/task", shim.id())).expect("it runs");
    let names = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

#[test]
fn a_thread_for_traces_is_there_only_with_a_collector() {
    let is_there = |name: &String| name.starts_with("OpenTelemetry");
    for (endpoint, variables, wanted) in [
        ("", &[][..], false),
        (ENDPOINT, &[("OTEL_SDK_DISABLED", "true")][..], false),
        (ENDPOINT, &[][..], true),
    ] {
        let host = if endpoint.is_empty() { Host::start() } else { Host::traced(endpoint, variables) };
        ctr(&["run", "--detach", "--runtime", MICA, DEMO, "motor"]).success();
        assert_eq!(threads().iter().any(is_there), wanted, "{endpoint} {variables:?}: {:?}", threads());
        host.remove("motor");
    }
}
