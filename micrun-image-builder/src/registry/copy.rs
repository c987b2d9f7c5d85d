//! `copy`: from one registry to another, blob by blob, without a copy of the image here.

use std::io::Read;

use oci_spec::image::Descriptor;

use super::args::Copy;
use super::connect;
use super::hosts::Use;
use super::progress::Progress;
use super::pull::{graph, root};
use super::push::{said, send};
use super::referrers;
use super::repository::Repository;
use crate::error::Result;

pub(super) fn run(args: &Copy) -> Result<String> {
    let endpoints = connect::endpoints(&args.network, &args.from.host, &args.from.repository, Use::Pull)?;
    let (endpoint, manifest) = root(&endpoints, &args.from)?;
    let from = Repository::to_read(endpoint, &args.from.repository);
    let graph = graph(&from, manifest)?;
    let same = args.from.host == args.to.host && args.from.repository != args.to.repository;
    let mount_from = same.then_some(args.from.repository.as_str());
    let progress = Progress::new();
    let content = |blob: &Descriptor| -> Result<Box<dyn Read + '_>> {
        Ok(Box::new(from.pull_blob(blob, &progress.bar(blob))?))
    };
    let referrers = if args.referrers { referrers::listed(&from, &graph)? } else { Vec::new() };
    let outcomes = send(&args.network, &graph, &referrers, &args.to, mount_from, &content)?;
    Ok(said(&args.to, &graph, &outcomes, args.json))
}
