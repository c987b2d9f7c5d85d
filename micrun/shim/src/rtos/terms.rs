//! The terms on which a mica daemon takes firmware: its policy and its CPU pool.

use libmica::ext::Version;
use micrun_firmware::policy::DAEMON_FILE;
use micrun_firmware::{Policy, SharedCpus};

use crate::error::{Error, Result};
use crate::task::mica::Mica;

/// What the daemon told. Upstream's daemon, and an earlier one of ours, tell nothing.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    /// What it allows.
    pub policy: Option<Policy>,
    /// The CPUs for firmware without CPUs of its own.
    pub shared: Option<SharedCpus>,
    /// Whether its log says of a client what it is told.
    pub takes_labels: bool,
}

impl Terms {
    /// Asks the daemon. Another one may be there each time.
    pub(crate) async fn ask(mica: &dyn Mica) -> Result<Self> {
        match mica.version().await {
            Ok(version) => Self::read(&version),
            Err(libmica::Error::Unsupported { .. }) => Ok(Self::default()),
            Err(error) => Err(error.into()),
        }
    }

    fn read(version: &Version) -> Result<Self> {
        let policy = version.policy.as_ref();
        let shared = version.pools.as_ref().and_then(|pools| pools.shared.as_deref());
        let shared = shared.map(|text| {
            let cpus = text.parse().map_err(|reason| {
                Error::Invalid(format!("the mica daemon's {} are not usable: {reason}", SharedCpus::KEY))
            })?;
            let place = policy.map_or_else(|| DAEMON_FILE.to_owned(), |policy| policy.file.clone());
            Ok::<_, Error>(SharedCpus { cpus, place })
        });
        let takes_labels = version.extensions.iter().any(|name| name == "about");
        Ok(Self { policy: policy.map(Policy::from_wire), shared: shared.transpose()?, takes_labels })
    }
}
