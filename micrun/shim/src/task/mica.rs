//! What the shim needs of a mica daemon, as a trait, so that tests can bring about what a healthy daemon never
//! does.

use std::os::fd::BorrowedFd;

use async_trait::async_trait;
use libmica::attach::Attach;
use libmica::ext::{Diagnosis, ExitReport, PatchReport, Stats, Version};
use libmica::{Client, ClientStatus, CreateMessage, Error, Launch};
use micrun_trace::Span;
use tokio::net::UnixStream;

/// A mica daemon.
#[async_trait]
pub(crate) trait Mica: Send + Sync {
    /// Asks what daemon it is, and on which terms it takes clients.
    async fn version(&self) -> Result<Version, Error>;
    /// Makes a client known to the daemon.
    async fn create(&self, message: &CreateMessage) -> Result<(), Error>;
    /// Boots it.
    async fn start(&self, name: &str, launch: &Launch) -> Result<(), Error>;
    /// Ends it.
    async fn stop(&self, name: &str) -> Result<(), Error>;
    /// Ends it, if need be, and forgets it.
    async fn remove(&self, name: &str) -> Result<(), Error>;
    /// Freezes it.
    async fn pause(&self, name: &str) -> Result<(), Error>;
    /// Lets it go on.
    async fn resume(&self, name: &str) -> Result<(), Error>;
    /// Writes its state down.
    async fn checkpoint(&self, name: &str, to: BorrowedFd<'_>) -> Result<(), Error>;
    /// Has the memory of its firmware be that of another one.
    async fn patch(&self, name: &str, firmware: BorrowedFd<'_>) -> Result<PatchReport, Error>;
    /// Changes a resource of it.
    async fn set(&self, name: &str, key: &str, value: &str) -> Result<(), Error>;
    /// Has the daemon's log say what these labels say of it. Upstream's daemon does not know that.
    async fn about(&self, name: &str, labels: BorrowedFd<'_>) -> Result<(), Error> {
        let _ = (name, labels);
        Err(Error::Unsupported { command: "about".to_owned() })
    }
    /// Asks for what it has used, and how it ended.
    async fn stats(&self, name: &str) -> Result<Stats, Error>;
    /// Asks for its state and its console.
    async fn status(&self, name: &str) -> Result<ClientStatus, Error>;
    /// Asks what its firmware is doing; `silent` says that nothing has come from it.
    async fn diagnose(&self, name: &str, silent: bool) -> Result<Diagnosis, Error>;
    /// Connects to a console of it. Upstream's daemon does not know that.
    async fn attach(&self, name: &str, attach: &Attach) -> Result<UnixStream, Error> {
        let _ = (name, attach);
        Err(Error::Unsupported { command: "attach".to_owned() })
    }
    /// Waits for its end.
    async fn wait(&self, name: &str) -> Result<ExitReport, Error>;
}

#[async_trait]
impl Mica for Client {
    async fn version(&self) -> Result<Version, Error> {
        told("mica version", "", self.version()).await
    }

    async fn create(&self, message: &CreateMessage) -> Result<(), Error> {
        told("mica create", &message.name, self.create(message)).await
    }

    async fn start(&self, name: &str, launch: &Launch) -> Result<(), Error> {
        told("mica start", name, self.launch(name, launch)).await
    }

    async fn stop(&self, name: &str) -> Result<(), Error> {
        told("mica stop", name, self.stop(name)).await
    }

    async fn remove(&self, name: &str) -> Result<(), Error> {
        told("mica rm", name, self.remove(name)).await
    }

    async fn pause(&self, name: &str) -> Result<(), Error> {
        told("mica pause", name, self.pause(name)).await
    }

    async fn resume(&self, name: &str) -> Result<(), Error> {
        told("mica resume", name, self.resume(name)).await
    }

    async fn checkpoint(&self, name: &str, to: BorrowedFd<'_>) -> Result<(), Error> {
        told("mica checkpoint", name, self.checkpoint(name, to)).await
    }

    async fn patch(&self, name: &str, firmware: BorrowedFd<'_>) -> Result<PatchReport, Error> {
        told("mica patch", name, self.patch(name, firmware)).await
    }

    async fn set(&self, name: &str, key: &str, value: &str) -> Result<(), Error> {
        told("mica set", name, self.set(name, key, value)).await
    }

    async fn about(&self, name: &str, labels: BorrowedFd<'_>) -> Result<(), Error> {
        told("mica about", name, self.about(name, labels)).await
    }

    async fn stats(&self, name: &str) -> Result<Stats, Error> {
        told("mica stats", name, self.stats(name)).await
    }

    async fn status(&self, name: &str) -> Result<ClientStatus, Error> {
        told("mica status", name, self.status(name)).await
    }

    async fn diagnose(&self, name: &str, silent: bool) -> Result<Diagnosis, Error> {
        told("mica diagnose", name, self.diagnose(name, silent)).await
    }

    async fn attach(&self, name: &str, attach: &Attach) -> Result<UnixStream, Error> {
        Ok(self.attach(name, attach).await?.into_stream())
    }

    async fn wait(&self, name: &str) -> Result<ExitReport, Error> {
        told("mica wait", name, self.wait(name)).await
    }
}

/// Does the `work` of a command, as a span of whatever it is for.
async fn told<T>(
    command: &'static str,
    client: &str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    Span::client(|| command.into()).with("micrun.client", client).around(work).await
}
