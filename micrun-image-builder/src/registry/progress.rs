//! How far the blobs are: bars on a terminal, a line for each elsewhere.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use oci_spec::image::Descriptor;

use crate::say;

const TEMPLATE: &str = "{prefix:12} {wide_bar} {bytes:>11}/{total_bytes:11} {bytes_per_sec:>12}";
/// Digits of a digest that tell the blobs of an image apart.
const DIGITS: usize = 12;

/// The bars of one command. Without a terminal they draw nothing.
pub(super) struct Progress(MultiProgress);

impl Progress {
    pub(super) fn new() -> Self {
        // A trace and bars would write over each other.
        let target = if say::bars() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self(MultiProgress::with_draw_target(target))
    }

    /// A bar for a blob.
    pub(super) fn bar(&self, blob: &Descriptor) -> Bar {
        let bar = self.0.add(ProgressBar::new(blob.size()));
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style);
        }
        bar.set_prefix(blob.digest().digest().chars().take(DIGITS).collect::<String>());
        Bar { bar, all: self.0.clone() }
    }
}

/// How far one blob is.
pub(super) struct Bar {
    bar: ProgressBar,
    all: MultiProgress,
}

impl Bar {
    pub(super) fn at(&self, bytes: u64) {
        self.bar.set_position(bytes);
    }

    /// Replaces the bar by a line that says what became of the blob.
    pub(super) fn done(self, blob: &Descriptor, what: &str) {
        self.bar.finish_and_clear();
        self.all.suspend(|| say::usual(format_args!("{}, {} bytes: {what}", blob.digest(), blob.size())));
    }
}
