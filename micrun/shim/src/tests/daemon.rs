//! A mica daemon of the test's own.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use libmica::ext::{Diagnosis, ExitReason, ExitReport, PatchReport, Policy, Pools, Stats, Version};
use libmica::{ClientState, ClientStatus, CreateMessage, Error, Launch, Service};
use micrun_firmware::memory_file;
use nix::pty::{OpenptyResult, openpty};
use tokio::sync::{Notify, oneshot, watch};

use crate::task::mica::Mica;

/// What the daemon does when it is asked to.
#[derive(Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
pub(super) struct Script {
    /// `wait` is unknown, as with upstream's daemon.
    pub no_wait: bool,
    /// So many `wait`s break off before one is answered.
    pub broken_waits: usize,
    /// `start` is refused.
    pub refuse_start: bool,
    /// The RTOS ends while `start` is still being answered.
    pub exit_during_start: bool,
    /// `set` of this key is refused.
    pub refuse_set: Option<&'static str>,
    /// The RTOS has a shell on a second terminal, which prompts as `$ `.
    pub shell: bool,
    /// The pedestal of the image; `qemu` if empty.
    pub pedestal: &'static str,
}

/// A daemon with one client and a real terminal as its console.
pub(super) struct Daemon {
    script: Script,
    pub calls: Mutex<Vec<String>>,
    /// What it tells of itself; upstream's tells nothing.
    pub version: Mutex<Option<Version>>,
    /// What it was asked to create.
    pub created: Mutex<Option<CreateMessage>>,
    broken: Mutex<usize>,
    /// The other end of the console.
    pub master: File,
    slave: PathBuf,
    /// The shell's terminal.
    shell: Option<PathBuf>,
    shell_master: Option<File>,
    /// `cgroup.procs` files that came with `start`.
    pub joined: Mutex<Vec<File>>,
    _hold: Vec<File>,
    pub end: watch::Sender<Option<ExitReport>>,
    /// Notified when `start` is under way.
    pub starting: Notify,
    /// What becomes of the next `stop`s: each waits until it is told why it fails. Without one it succeeds.
    failing_stops: Mutex<VecDeque<oneshot::Receiver<Error>>>,
}

impl Daemon {
    pub(super) fn new(script: Script) -> Arc<Self> {
        let (master, slave, path) = raw_pty();
        let mut hold = vec![slave];
        let shell = script.shell.then(raw_pty);
        let (mut shell_path, mut shell_master) = (None, None);
        if let Some((master, slave, path)) = shell {
            hold.push(slave);
            (shell_path, shell_master) = (Some(path), Some(master));
        }
        Arc::new(Self {
            script,
            calls: Mutex::default(),
            version: Mutex::default(),
            created: Mutex::default(),
            broken: Mutex::new(script.broken_waits),
            master,
            slave: path,
            shell: shell_path,
            shell_master,
            joined: Mutex::default(),
            _hold: hold,
            end: watch::Sender::new(None),
            starting: Notify::new(),
            failing_stops: Mutex::default(),
        })
    }

    /// From now on it tells of a policy that allows everything, as `change` changes it, and of a CPU pool.
    pub(super) fn tell(&self, pool: Option<&str>, change: impl FnOnce(&mut Policy)) {
        let any = || vec!["*".to_owned()];
        let mut policy = Policy {
            file: "/etc/mica/micad.conf".into(),
            pedestals: any(),
            remoteprocs: any(),
            machines: any(),
            cpus: any(),
            max_memory_mb: None,
            max_vcpus: None,
            max_firmware_mb: None,
        };
        change(&mut policy);
        *self.version.lock().unwrap() = Some(Version {
            daemon: "micad".into(),
            version: "1".into(),
            protocol: 1,
            pedestals: Vec::new(),
            extensions: Vec::new(),
            policy: Some(policy),
            pools: Some(Pools { shared: pool.map(str::to_owned), ..Pools::default() }),
        });
    }

    /// The RTOS prints something.
    pub(super) fn print(&self, text: &str) {
        (&self.master).write_all(text.as_bytes()).unwrap();
    }

    /// The RTOS ends.
    pub(super) fn end(&self, reason: ExitReason, status: u8) {
        let exited_at = "2026-11-21T10:00:00.000000001Z".into();
        self.end.send_replace(Some(ExitReport {
            status,
            reason,
            detail: "test".into(),
            exited_at,
            core: None,
        }));
    }

    /// One more `stop` will fail, once it is told why.
    pub(super) fn fail_stop(&self) -> oneshot::Sender<Error> {
        let (why, told) = oneshot::channel();
        self.failing_stops.lock().unwrap().push_back(told);
        why
    }

    /// The other end of the shell's terminal.
    pub(super) fn shell(&self) -> &File {
        self.shell_master.as_ref().unwrap()
    }

    fn note(&self, call: &str) {
        self.calls.lock().unwrap().push(call.to_owned());
    }

    /// How often a command was received.
    pub(super) fn count(&self, call: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|c| *c == call).count()
    }
}

/// A terminal without any processing: its master, its slave and the slave's path.
fn raw_pty() -> (File, File, PathBuf) {
    let OpenptyResult { master, slave } = openpty(None, None).unwrap();
    let path = nix::unistd::ttyname(&slave).unwrap();
    let mut raw = nix::sys::termios::tcgetattr(&slave).unwrap();
    nix::sys::termios::cfmakeraw(&mut raw);
    nix::sys::termios::tcsetattr(&slave, nix::sys::termios::SetArg::TCSANOW, &raw).unwrap();
    (master.into(), slave.into(), path)
}

#[async_trait]
impl Mica for Daemon {
    async fn version(&self) -> Result<Version, Error> {
        let told = self.version.lock().unwrap().clone();
        told.ok_or_else(|| Error::Unsupported { command: "version".into() })
    }

    async fn create(&self, message: &CreateMessage) -> Result<(), Error> {
        assert!(message.path.is_file());
        *self.created.lock().unwrap() = Some(message.clone());
        self.note("create");
        Ok(())
    }

    async fn start(&self, name: &str, launch: &Launch) -> Result<(), Error> {
        self.note("start");
        for procs in &launch.cgroups {
            self.joined.lock().unwrap().push(procs.try_clone().unwrap().into());
        }
        if let Some(snapshot) = &launch.snapshot {
            let text = std::io::read_to_string(File::from(snapshot.try_clone().unwrap())).unwrap();
            self.note(&format!("restore {text}"));
        }
        if self.script.refuse_start {
            return Err(Error::Failed { command: "start".into(), text: format!("{name} is broken") });
        }
        self.end.send_replace(None);
        self.starting.notify_one();
        if self.script.exit_during_start {
            self.end(ExitReason::Exited, 3);
        }
        Ok(())
    }

    async fn stop(&self, _: &str) -> Result<(), Error> {
        self.note("stop");
        let failing = self.failing_stops.lock().unwrap().pop_front();
        if let Some(why) = failing {
            return Err(why.await.unwrap());
        }
        self.end(ExitReason::Stopped, 0);
        Ok(())
    }

    async fn remove(&self, _: &str) -> Result<(), Error> {
        self.note("rm");
        Ok(())
    }

    async fn pause(&self, _: &str) -> Result<(), Error> {
        self.note("pause");
        Ok(())
    }

    async fn resume(&self, _: &str) -> Result<(), Error> {
        self.note("resume");
        Ok(())
    }

    async fn patch(&self, _: &str, firmware: BorrowedFd<'_>) -> Result<PatchReport, Error> {
        self.note("patch");
        assert!(memory_file::is_sealed(&File::from(firmware.try_clone_to_owned().unwrap())));
        Ok(PatchReport { firmware: "sha256:0".into(), ranges: 1, bytes: 4, pause_usec: 5 })
    }

    async fn checkpoint(&self, _: &str, to: BorrowedFd<'_>) -> Result<(), Error> {
        self.note("checkpoint");
        let mut file = File::from(to.try_clone_to_owned().unwrap());
        file.write_all(b"the state").unwrap();
        Ok(())
    }

    async fn set(&self, _: &str, key: &str, value: &str) -> Result<(), Error> {
        self.note(&format!("set {key} {value}"));
        if self.script.refuse_set == Some(key) {
            let text = format!("the baremetal pedestal cannot change {key}");
            return Err(Error::Failed { command: "set".into(), text });
        }
        Ok(())
    }

    async fn about(&self, _: &str, labels: BorrowedFd<'_>) -> Result<(), Error> {
        let file = File::from(labels.try_clone_to_owned().unwrap());
        assert!(memory_file::is_sealed(&file));
        self.note(&format!("about {}", std::io::read_to_string(file).unwrap()));
        Ok(())
    }

    async fn stats(&self, _: &str) -> Result<Stats, Error> {
        if self.script.no_wait {
            return Err(Error::Unsupported { command: "stats".into() });
        }
        Ok(Stats {
            state: ClientState::Running,
            pid: 0,
            cpu_usec: 0,
            memory_bytes: 0,
            processes: None,
            read_bytes: None,
            written_bytes: None,
            of: None,
            uptime_usec: 5,
            exit: self.end.borrow().clone(),
            silent: None,
            patched: None,
        })
    }

    async fn status(&self, name: &str) -> Result<ClientStatus, Error> {
        let state = if self.end.borrow().is_some() { ClientState::Offline } else { ClientState::Running };
        let mut services = vec![Service { name: "rpmsg-tty".into(), device: Some(self.slave.clone()) }];
        if let Some(shell) = &self.shell {
            services.push(Service { name: "rpmsg-tty1".into(), device: Some(shell.clone()) });
        }
        Ok(ClientStatus { display_name: name.into(), cpu: String::new(), state, services })
    }

    async fn diagnose(&self, _: &str, silent: bool) -> Result<Diagnosis, Error> {
        self.note(if silent { "diagnose silent" } else { "diagnose" });
        if self.script.no_wait {
            return Err(Error::Unsupported { command: "diagnose".into() });
        }
        Ok(Diagnosis { detail: "it sleeps".into(), seen_at: "2026-11-21T10:00:00Z".into() })
    }

    async fn wait(&self, _: &str) -> Result<ExitReport, Error> {
        if self.script.no_wait {
            return Err(Error::Unsupported { command: "wait".into() });
        }
        {
            let mut broken = self.broken.lock().unwrap();
            if *broken > 0 {
                *broken -= 1;
                return Err(Error::DaemonNotRunning { socket: "/run/mica/test.socket".into() });
            }
        }
        let mut end = self.end.subscribe();
        Ok(end.wait_for(Option::is_some).await.unwrap().clone().unwrap())
    }
}
