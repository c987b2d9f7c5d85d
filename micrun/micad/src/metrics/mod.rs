//! What the daemon counts and measures, as OpenMetrics text.
//!
//! Counters are plain numbers that exist from the start: nothing is allocated, and no thread runs, until somebody asks.
//! Only then is everything else looked at, and the text made of it.

pub(crate) mod counts;
pub(crate) mod http;
mod page;
mod scrape;

pub(crate) use scrape::{Format, Scrape, SeenClient};
