//! The long-lived part: a ttrpc server for the containers of one pod.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use containerd_shim_protos::sandbox_async::create_sandbox;
use containerd_shim_protos::shim_async::create_task;
use containerd_shim_protos::ttrpc::r#async::Server;
use containerd_shim_protos::ttrpc::r#async::transport::Listener;
use micrun_firmware::HostConf;
use micrun_firmware::host_conf::Locations;
use micrun_trace::{Current, Settings};
use nix::sys::signal::{SigSet, Signal};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use crate::cgroup::Layout;
use crate::entry::args::Args;
use crate::entry::logger;
use crate::entry::start::TTRPC_ADDRESS;
use crate::error::{Error, Result};
use crate::os::{blocking, children, machine};
use crate::rtos::state_dir;
use crate::sandbox::SandboxService;
use crate::service::ending::Ending;
use crate::service::task::TaskService;
use crate::service::{pod, traced};
use crate::task::budget::Budget;
use crate::task::containers::Containers;
use crate::task::context::Context;
use crate::task::publisher::{Containerd, Queue};

/// Task v3 is v2 under another package name (containerd 2.0), so one dispatch table serves both.
const TASK_V3: &str = "containerd.task.v3.Task";
const TASK_V2: &str = "containerd.task.v2.Task";
/// Longest that the process stays to deliver its last events.
const FAREWELL: Duration = Duration::from_secs(5);
/// Longest that a container may take to end by itself when the machine goes down.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Longest that the process stays to deliver its last spans.
const LAST_SPANS: Duration = Duration::from_secs(2);
/// How often a shim without containers looks whether containerd has given it up.
const LOOK: Duration = Duration::from_secs(5);
/// Longest that a shim waits for its first container. containerd asks for it at once.
const UNUSED: Duration = Duration::from_secs(30);

/// Serves until containerd sends Shutdown.
pub(crate) fn run(args: &Args) -> Result<()> {
    let bundle = std::env::current_dir().map_err(Error::io("find", "."))?;
    if let Ok(log) = logger::open(&bundle) {
        logger::install(log, &args.namespace, &args.id, args.debug);
    }
    let listener = take_listener()?;
    let ending = Ending::new(listener.local_addr().ok().and_then(|a| a.as_pathname().map(PathBuf::from)));
    let runtime = blocking::runtime().map_err(Error::io("start", "the async runtime"))?;
    log::info!("serving, version {}, pid {}", env!("CARGO_PKG_VERSION"), std::process::id());
    let result = runtime.block_on(serve(args, &bundle, listener, &ending));
    // Work that never ends must not keep the process.
    runtime.shutdown_background();
    ending.hide();
    micrun_trace::stop(LAST_SPANS);
    log::info!("the shim ends");
    result
}

/// The signals that the server handles. They are blocked when it begins: neither ends it before it does.
pub(crate) fn handled_signals() -> SigSet {
    [Signal::SIGTERM, Signal::SIGINT].into_iter().collect()
}

/// The listening socket comes as stdin; `/dev/null` takes its place.
fn take_listener() -> Result<UnixListener> {
    let stdin = std::io::stdin();
    let listener = stdin.as_fd().try_clone_to_owned().map_err(Error::io("take", "the listening socket"))?;
    let listener = UnixListener::from(listener);
    if listener.local_addr().is_err() {
        return Err(Error::Usage("stdin is not a listening socket".into()));
    }
    let null = File::open("/dev/null").map_err(Error::io("open", "/dev/null"))?;
    nix::unistd::dup2_stdin(&null).map_err(|e| Error::io("replace", "stdin")(e.into()))?;
    listener.set_nonblocking(true).map_err(Error::io("set up", "the listening socket"))?;
    Ok(listener)
}

/// What the daemon is told that a command is for.
fn context_of_commands() -> Option<libmica::trace::Context> {
    let parent = Current::here().to_others()?;
    libmica::trace::Context::new(&parent.to_string(), parent.state())
}

/// Starts tracing, if the configuration or containerd's environment wants it.
fn trace(args: &Args, conf: &HostConf) {
    let settings = Settings {
        service: "containerd-shim-mica-v2",
        parent_service: "containerd",
        version: env!("CARGO_PKG_VERSION"),
        attributes: vec![("containerd.namespace", args.namespace.clone())],
        endpoint: conf.trace_endpoint().map(str::to_owned),
        sample: conf.trace_sample(),
    };
    match micrun_trace::start(&settings) {
        Ok(true) => log::info!("traces are on"),
        Ok(false) => {}
        Err(error) => log::error!("{error}"),
    }
}

async fn serve(args: &Args, bundle: &Path, listener: UnixListener, ending: &Arc<Ending>) -> Result<()> {
    let events = Queue::new(&args.namespace);
    if let Ok(address) = std::env::var(TTRPC_ADDRESS) {
        let events = Arc::clone(&events);
        tokio::spawn(async move { events.run(Containerd::new(&address)).await });
    } else {
        log::warn!("{TTRPC_ADDRESS} is not set: this shim's events reach nobody");
    }
    children::adopt_orphans()?;
    let mica = Arc::new(libmica::Client::default().with_context(context_of_commands));
    let host_conf = Locations::from_env(std::env::vars());
    // Each Create reads it again, and fails with what is wrong with it.
    let conf = HostConf::load(&host_conf).inspect_err(|error| log::error!("{error}")).unwrap_or_default();
    logger::set_format(&conf);
    if conf.annotations().debug == Some(true) {
        log::set_max_level(log::LevelFilter::Debug);
    }
    trace(args, &conf);
    let cgroups = Layout::detect().inspect_err(|error| log::warn!("{error}")).ok();
    let context = Arc::new(Context {
        namespace: args.namespace.clone(),
        state_root: state_dir::root(&conf),
        host_conf,
        cgroups,
        shared: OnceLock::new(),
        budget: Budget::default(),
        mica,
        events: events.clone(),
    });
    let containers: Arc<Containers> = Arc::default();
    let service = TaskService::new(Arc::clone(&context), Arc::clone(&containers), Arc::clone(ending));
    let dying = Arc::clone(&context);
    let sandbox = SandboxService::new(context, Arc::clone(&containers), Arc::clone(ending));

    let mut services = create_task(service.clone());
    if let Some(service) = create_task(service).remove(TASK_V3) {
        services.insert(TASK_V2.to_owned(), service);
    }
    services.extend(create_sandbox(sandbox));
    let services = traced::trace(services);
    let listener =
        tokio::net::UnixListener::from_std(listener).map_err(Error::io("use", "the listening socket"))?;
    let mut server = Server::new().register_service(services).add_listener(Listener::from(listener));
    server.start().await?;
    // A service manager that stops a service must not take running firmware with it; Shutdown ends the shim. Only the
    // end of the machine is the end of its containers.
    let mut term = signal(SignalKind::terminate()).map_err(Error::io("handle", "SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::io("handle", "SIGINT"))?;
    handled_signals().thread_unblock().map_err(|errno| Error::io("handle", "signals")(errno.into()))?;
    let forgotten = forgotten(bundle, &containers);
    tokio::pin!(forgotten);
    let mut farewell = FAREWELL;
    loop {
        tokio::select! {
            () = ending.due() => break,
            why = &mut forgotten => {
                log::warn!("{why}: nobody needs this shim");
                break;
            }
            _ = term.recv() => if machine::is_going_down() {
                log::info!("the machine goes down: ending the containers");
                pod::end_all(&dying, &containers, LAST_WORDS).await;
                farewell = Duration::ZERO;
                break;
            } else {
                log::warn!("SIGTERM ignored: containerd ends this shim by Shutdown");
            },
            _ = interrupt.recv() => log::warn!("SIGINT ignored: containerd ends this shim by Shutdown"),
        }
    }
    ending.hide();
    events.flush(farewell).await;
    server.shutdown().await?;
    Ok(())
}

/// Returns when nobody will ever ask for this shim again, and says why: containerd was killed before it had noted the shim,
/// and removed the bundle when it came back; or before it had asked for a container, which it does not do later. The holder
/// of a sandbox ends with the shim.
///
/// No timer runs while there is a container: an idle pod wakes no processor.
async fn forgotten(bundle: &Path, containers: &Containers) -> &'static str {
    // One whose Create has failed unheard is as if it had never been asked for.
    while containers.is_empty() {
        if timeout(UNUSED, containers.filled()).await.is_err() {
            return "containerd has asked for no container";
        }
        containers.settled().await;
    }
    loop {
        containers.emptied().await;
        tokio::select! {
            () = containers.filled() => {}
            () = tokio::time::sleep(LOOK) => if bundle.try_exists().is_ok_and(|exists| !exists) {
                return "the bundle is gone and no container is left";
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_shim_stays_for_its_first_container_and_then_for_its_bundle() {
        let (bundle, containers) = (tempfile::tempdir().unwrap(), Arc::<Containers>::default());
        let fails = async {
            let failed = containers.reserve("f").unwrap();
            tokio::time::sleep(LOOK).await;
            drop(failed);
        };
        let (why, ()) = tokio::join!(forgotten(bundle.path(), &containers), fails);
        assert_eq!(why, "containerd has asked for no container");
        let path = bundle.path().to_owned();
        let used = async {
            let container = containers.occupy("c").unwrap();
            tokio::time::sleep(LOOK).await;
            drop(container);
            tokio::time::sleep(100 * UNUSED).await;
            bundle.close().unwrap();
        };
        let (why, ()) = tokio::join!(forgotten(&path, &containers), used);
        assert_eq!(why, "the bundle is gone and no container is left");
    }
}
