//! A path inside a tree, its links followed as containerd follows them (`continuity/fs.RootPath`).
//!
//! It follows the links of a path from left to right, joins texts, and begins again until none is left. Where a link
//! leads to a link, it asks the kernel, which follows; then `..` is taken from the text, not from where that led.

use std::io;

use super::tree::{Id, Kind, ROOT, Tree};
use super::{Budget, malformed, path, quoted};

/// containerd gives up behind as many.
const MOST_LINKS: usize = 255;
/// The kernel does so behind these.
const MOST_KERNEL_LINKS: usize = 40;
const MOST_NAME: usize = 255;
/// `PATH_MAX` less what containerd puts before a path.
const MOST_PATH: usize = 4000;

/// The clean path, with a leading `/`, to which `path` leads. What is missing there is none of its business.
pub(super) fn root_path(tree: &Tree, path: &[u8], budget: &mut Budget) -> io::Result<Vec<u8>> {
    let mut path = path::below_root(path);
    check(&path)?;
    if !has_link(tree, &path, budget)? {
        return Ok(path);
    }
    let mut links = 0;
    loop {
        let before = links;
        path = pass(tree, &path, &mut links, budget)?;
        check(&path)?;
        if links == before {
            return Ok(path);
        }
    }
}

/// Refuses what no Linux file system takes.
pub(super) fn check(path: &[u8]) -> io::Result<()> {
    let too_long = path.len() > MOST_PATH || path::names(path).any(|name| name.len() > MOST_NAME);
    if too_long || path.contains(&0) {
        let shown = &path[..path.len().min(100)];
        return Err(malformed(format!("the path {}... is too long or has a zero byte", quoted(shown))));
    }
    Ok(())
}

/// Whether a link stands on the way, which is then to be followed. A file on the way is an error.
fn has_link(tree: &Tree, path: &[u8], budget: &mut Budget) -> io::Result<bool> {
    let mut at = ROOT;
    for name in path::names(path) {
        budget.steps(1)?;
        match &tree.nodes[at].kind {
            Kind::Directory(_) => {}
            Kind::Symlink(_) => return Ok(true),
            _ => return Err(in_a_file(path)),
        }
        let Some(next) = tree.child(at, name) else { return Ok(false) };
        at = next;
    }
    Ok(matches!(tree.nodes[at].kind, Kind::Symlink(_)))
}

/// Once over all names of a clean path.
fn pass(tree: &Tree, path: &[u8], links: &mut usize, budget: &mut Budget) -> io::Result<Vec<u8>> {
    let mut led = b"/".to_vec();
    for name in path::names(path) {
        let next = path::below_root(&[&led, b"/".as_slice(), name].concat());
        let found = lstat(tree, &next, budget)?;
        let Some(Kind::Symlink(target)) = found.map(|id| &tree.nodes[id].kind) else {
            led = next;
            continue;
        };
        *links += 1;
        if *links > MOST_LINKS {
            return Err(malformed(format!("the path {} has too many links", quoted(path))));
        }
        led = match target.first() {
            Some(b'/') => path::below_root(target),
            _ => path::below_root(&[&led, b"/".as_slice(), target].concat()),
        };
        check(&led)?;
    }
    Ok(led)
}

/// What the kernel finds at a path: it follows the links of all names but the last.
fn lstat(tree: &Tree, path: &[u8], budget: &mut Budget) -> io::Result<Option<Id>> {
    let mut left: Vec<Vec<u8>> = path::names(path).rev().map(<[u8]>::to_vec).collect();
    let mut way = vec![ROOT];
    let mut links = 0;
    while let Some(name) = left.pop() {
        budget.steps(1)?;
        match name.as_slice() {
            b"." => continue,
            b".." => {
                if way.len() == 1 {
                    return Err(outside(path));
                }
                way.pop();
                continue;
            }
            _ => {}
        }
        let at = *way.last().unwrap_or(&ROOT);
        if !tree.is_directory(at) {
            return Err(in_a_file(path));
        }
        let Some(next) = tree.child(at, &name) else { return Ok(None) };
        match &tree.nodes[next].kind {
            Kind::Symlink(target) if !left.is_empty() => {
                links += 1;
                budget.steps(target.len())?;
                if target.starts_with(b"/") {
                    return Err(outside(path));
                }
                if links > MOST_KERNEL_LINKS {
                    return Err(malformed(format!("the path {} has too many links", quoted(path))));
                }
                left.extend(path::names(target).rev().map(<[u8]>::to_vec));
            }
            _ => way.push(next),
        }
    }
    Ok(way.last().copied())
}

fn in_a_file(path: &[u8]) -> io::Error {
    malformed(format!("the path {} leads through a file", quoted(path)))
}

/// containerd would look at the host's files here.
fn outside(path: &[u8]) -> io::Error {
    malformed(format!("the path {} leads through links out of the image", quoted(path)))
}
