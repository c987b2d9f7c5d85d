//! Which firmware the one of an image takes the place of.

use super::{Firmware, Rootfs};
use crate::record::{self, Change, LayerRecord};
use crate::{Error, Result, Sha256Digest};

/// More than the layers of any image: overlayfs takes 500.
const MAX_RECORDS: u32 = 512;

impl Firmware {
    /// The digest of the firmware below this one: what its delta stands upon, or what the uppermost record of its file says
    /// was there before. `None` if nothing tells.
    pub fn replaces(&self, rootfs: &(impl Rootfs + ?Sized)) -> Result<Option<Sha256Digest>> {
        if let Some(delta) = &self.delta {
            return Ok(Some(delta.header.base.sha256));
        }
        let path = self.file.path.to_string_lossy();
        let mut before = None;
        for number in 0..MAX_RECORDS {
            let opened = rootfs.open(&record::path(number), record::MAX_SIZE, "a layer's record");
            let file = match opened {
                Err(Error::NotFound { .. }) => break,
                other => other?,
            };
            let bytes = super::firmware::content(file, record::MAX_SIZE, "a layer's record")?;
            let record = LayerRecord::parse(&bytes)?;
            if let Some((_, change)) = record.files().find(|(name, _)| *name == path) {
                before = Change::before(change);
            }
        }
        Ok(before)
    }
}
