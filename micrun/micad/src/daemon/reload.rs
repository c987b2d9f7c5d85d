//! Reading the configuration again, while firmware runs.

use std::sync::Arc;

use super::{Daemon, access};
use crate::config::{Config, Options, Reloaded};
use crate::{blocking, logger};

impl Daemon {
    /// Has what the file and the `options` say now be in force, as far as that can change. A file that cannot be read or
    /// understood changes nothing.
    pub(super) async fn reload(&self, options: &Arc<Options>) {
        let owned = Arc::clone(options);
        let (new, warnings) = match blocking::run(move || Config::load(&owned)).await {
            Ok(loaded) => loaded,
            Err(e) => return log::error!("the configuration stays as it is: {}", e.sentence()),
        };
        let Reloaded { config, changed, later } = self.config.get().reloaded(new);
        logger::set_format(config.log_format);
        self.config.set(config);
        self.pedestals.reload();
        let config = self.config.get();
        let renewed = blocking::run(move || access::renew(&config.runtime_dir, &config.allowed_uids)).await;
        if let Err(e) = renewed {
            log::error!("{}", e.sentence());
        }
        for text in warnings.into_iter().chain(later) {
            log::warn!("{text}");
        }
        let changed = if changed.is_empty() { "nothing".to_owned() } else { changed.join(", ") };
        log::info!("the configuration was read again: {changed} changed");
    }
}
