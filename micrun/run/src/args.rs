//! The command line. What `ctr run` has too is called as there.

use clap::Parser;

/// Run the container of a firmware image, show its console, and end as it does
#[derive(Debug, Parser)]
#[command(version, allow_missing_positional = true)]
pub(crate) struct Args {
    /// An annotation of the container
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) annotations: Vec<(String, String)>,
    /// A variable of its environment
    #[arg(long = "env", value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) env: Vec<(String, String)>,
    /// A label by which containerd finds it
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) labels: Vec<(String, String)>,
    /// The most memory it may use
    #[arg(long, value_name = "BYTES")]
    pub(crate) memory_limit: Option<u64>,
    /// How many processors it may use at once
    #[arg(long, value_name = "NUMBER", value_parser = cpus)]
    pub(crate) cpus: Option<f64>,
    /// On which processors it may run
    #[arg(long, value_name = "LIST")]
    pub(crate) cpuset_cpus: Option<String>,
    /// Its share of a busy processor, of 1024
    #[arg(long, value_name = "NUMBER")]
    pub(crate) cpu_shares: Option<u64>,
    /// What holds the files of the image
    #[arg(long, value_name = "NAME", default_value = "overlayfs")]
    pub(crate) snapshotter: String,
    /// End what did not heed the unit's stop: the unit's `ExecStopPost=`
    #[arg(long, conflicts_with = "image")]
    pub(crate) ended: bool,
    /// The image, by its name in containerd
    #[arg(required_unless_present = "ended")]
    pub(crate) image: Option<String>,
    /// The container's name
    #[arg(required = true)]
    pub(crate) name: String,
}

fn pair(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE"),
    }
}

fn cpus(text: &str) -> Result<f64, &'static str> {
    let number = text.parse().ok().filter(|it: &f64| it.is_finite() && (0.01..=1024.0).contains(it));
    number.ok_or("write a number of processors, such as 0.5 or 2")
}
