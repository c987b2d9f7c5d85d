//! A Create that nobody waits for any more.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use containerd_shim_protos::api::CreateTaskResponse;
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::shim::oci::Options;
use containerd_shim_protos::ttrpc::{self, Code};
use micrun_host_tests::system::Process;
use micrun_host_tests::{process, wait};
use nix::sys::signal;
use nix::unistd::Pid;

use crate::container::Container;
use crate::events::topic;
use crate::fifo;
use crate::shim::{self, Invocation};
use crate::subjects::{MICA, RUNC};
use crate::task::code_of;
use crate::{Case, Stage};

const SKIP: &[(&str, &str)] = &[
    (RUNC, "runc's shim answers NOT_FOUND, and stays for what it then makes"),
    (MICA, "what holds Create up here is the OCI runtime; tests/host/tests/faults has firmware"),
];

pub(super) const CASES: &[Case] = &[
    Case {
        name: "containerd_delete_during_create_ends_what_is_made",
        skip: SKIP,
        run: containerd_delete_during_create_ends_what_is_made,
    },
    Case {
        name: "containerd_delete_command_during_create_ends_what_is_made",
        skip: SKIP,
        run: containerd_delete_command_during_create_ends_what_is_made,
    },
];

/// What lets the runtime go on.
const GO: &str = "/run/tmp/go";

/// A Create whose runtime waits for a word.
struct Held<'a> {
    container: Container<'a>,
    creating: JoinHandle<ttrpc::Result<CreateTaskResponse>>,
    shim: Pid,
    go: File,
    /// The processes that were there before the shim.
    before: Vec<Process>,
}

fn hold(stage: &Stage) -> Held<'_> {
    let before = Process::all();
    fifo::make(Path::new(GO));
    let runtime = process::script(
        "held-runtime",
        &format!("case \" $* \" in *' create '*) read -r word <{GO} ;; esac\nexec crun \"$@\"\n"),
    );
    let bundle = stage.bundle("one");
    let shim = stage.launch(&bundle);
    let container = Container::new(stage, bundle, shim);
    let options = Options { binary_name: runtime.display().to_string(), ..Default::default() };
    let mut request = container.request();
    request.options = Some(Any {
        type_url: "containerd.runc.v1.Options".into(),
        value: options.write_to_bytes().unwrap(),
        ..Default::default()
    })
    .into();
    let shim = container.shim.pid();
    let task = container.shim.connect();
    let creating = thread::spawn(move || task.create(&request));
    // Opens once the runtime reads it.
    let go = OpenOptions::new().write(true).open(GO).unwrap();
    Held { container, creating, shim, go, before }
}

impl Held<'_> {
    fn release(mut self) {
        self.go.write_all(b"go\n").unwrap();
        // Whoever waits all the same is told the truth of that moment, whatever it is.
        let _ = self.creating.join().unwrap();
        wait::until("the shim ends", || signal::kill(self.shim, None).is_err().then_some(()));
        wait::until("no process is left", || {
            Process::all().iter().all(|process| self.before.contains(process)).then_some(())
        });
    }
}

/// containerd up to 2.4 asks once, waits five seconds, sends Shutdown and never comes again (`TaskManager.Create`).
fn containerd_delete_during_create_ends_what_is_made(stage: &mut Stage) {
    let held = hold(stage);
    let task = &held.container.task;
    assert_eq!(code_of(&task.state("one")), Code::NOT_FOUND);
    let late = task.within(Duration::from_millis(200)).delete("one");
    let refused = matches!(&late, Err(ttrpc::Error::RpcStatus(status)) if status.code() == Code::NOT_FOUND);
    assert!(late.is_err() && !refused, "{late:?}");
    task.shutdown("one").unwrap();
    held.release();
    stage.events.expect("one", topic::DELETE);
}

/// The `delete` of a containerd that has lost the shim, then the end of the bundle, as it is done there.
fn containerd_delete_command_during_create_ends_what_is_made(stage: &mut Stage) {
    let held = hold(stage);
    let bundle = held.container.bundle.path.clone();
    let action = ["-bundle", bundle.to_str().unwrap(), "delete"];
    let mut command = stage.command("one", &Invocation::default(), &action);
    let deleting = thread::spawn(move || {
        let output = shim::run(&mut command, &bundle, b"");
        assert!(output.status.success(), "{output:?}");
        fs::remove_dir_all(&bundle).unwrap();
    });
    held.release();
    deleting.join().unwrap();
}
