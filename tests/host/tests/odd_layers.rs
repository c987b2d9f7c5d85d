//! Layers that readers understand differently: containerd unpacks and mounts them, and `inspect` must see the same.
#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use micrun_host_tests::archive::write_raw;
use micrun_host_tests::containerd::ctr;
use micrun_host_tests::odd::{Odd, corpus};
use micrun_host_tests::{Host, firmware, isolation};
use rustix::fs::{lgetxattr, llistxattr};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What stands at each path.
type Seen = BTreeMap<String, String>;

/// What is below a directory. Modes of directories that nobody named depend on the umask, so none is compared.
fn walk(root: &Path, path: &str, seen: &mut Seen) {
    for entry in fs::read_dir(root).expect("it is mounted") {
        let entry = entry.expect("it can be listed");
        let path = format!("{path}/{}", entry.file_name().to_string_lossy());
        // overlayfs lists a whiteout that hides nothing, but nobody can open it.
        let Ok(metadata) = entry.metadata() else { continue };
        let kind = metadata.file_type();
        let mode = metadata.mode() & 0o7777;
        let line = if kind.is_dir() {
            walk(&entry.path(), &path, seen);
            "directory".to_owned()
        } else if kind.is_file() {
            let content = fs::read(entry.path()).expect("it can be read");
            format!("file {mode:04o} {} sha256:{}", content.len(), hex::encode(Sha256::digest(&content)))
        } else if kind.is_symlink() {
            format!("symlink {}", fs::read_link(entry.path()).expect("it is a link").display())
        } else if kind.is_fifo() {
            "fifo".to_owned()
        } else {
            "device".to_owned()
        };
        seen.insert(path, line);
    }
}

/// The same with all else that is known of each file: modes, owners, devices, times, attributes and hard links.
fn walk_closely(root: &Path, seen: &mut Seen) {
    walk(root, "", seen);
    let mut names: BTreeMap<u64, String> = BTreeMap::new();
    for (path, line) in seen {
        let file = root.join(path.trim_start_matches('/'));
        let metadata = file.symlink_metadata().expect("it was seen");
        let (mode, uid, gid) = (metadata.mode(), metadata.uid(), metadata.gid());
        write!(line, ", {mode:o} {uid}:{gid} {:#x} {:?}", metadata.rdev(), attributes(&file)).expect("text");
        if !metadata.is_dir() {
            let first = names.entry(metadata.ino()).or_insert_with(|| path.clone());
            write!(line, ", of {}, {first}", metadata.mtime()).expect("text");
        }
    }
}

fn attributes(file: &Path) -> Vec<(String, Vec<u8>)> {
    let (mut list, mut value) = (vec![0; 4096], vec![0; 4096]);
    let size = llistxattr(file, &mut list).unwrap_or(0);
    let names = list[..size].split(|byte| *byte == 0).filter(|it| !it.is_empty());
    let mut all: Vec<_> = names
        .map(|name| {
            let name = String::from_utf8_lossy(name).into_owned();
            let size = lgetxattr(file, name.as_str(), &mut value).expect("it is listed");
            (name, value[..size].to_vec())
        })
        .collect();
    all.sort();
    all
}

/// What a container would see; `None` if containerd refuses the image.
fn containerd(odd: &Odd, archive: &Path) -> Option<Seen> {
    mounted(&image(odd), archive, |root, seen| walk(root, "", seen))
}

/// What `look` sees of an image; `None` if containerd refuses it.
fn mounted(image: &str, archive: &Path, look: impl Fn(&Path, &mut Seen)) -> Option<Seen> {
    let target = isolation::state_dir().join("mounted");
    fs::create_dir_all(&target).expect("/run is writable");
    let (archive, target) = (archive.to_str().expect("UTF-8"), target.to_str().expect("UTF-8"));
    if ctr(&["images", "import", archive]).status != 0 {
        return None;
    }
    let mounted = ctr(&["images", "mount", image, target]);
    if mounted.status != 0 {
        return None;
    }
    let mut seen = Seen::new();
    look(Path::new(target), &mut seen);
    ctr(&["images", "unmount", "--rm", target]).success();
    Some(seen)
}

/// What `inspect` sees; its words if it calls the image damaged or not readable.
fn ours(archive: &Path) -> Result<Seen, String> {
    let output = firmware::builder(&["inspect", "--json", "--files", archive.to_str().expect("UTF-8")]);
    if matches!(output.status, 4 | 6) {
        return Err(output.stderr);
    }
    let report: Value = serde_json::from_str(&output.success()).expect("JSON");
    let text = |file: &Value, key: &str| file[key].as_str().expect("text").to_owned();
    let line = |file: &Value| {
        let kind = text(file, "kind");
        match kind.as_str() {
            "file" => format!("file {} {} {}", text(file, "mode"), file["size"], text(file, "sha256")),
            "symlink" => format!("symlink {}", text(file, "target")),
            _ => kind,
        }
    };
    let files = report["images"][0]["files"].as_array().expect("a list");
    Ok(files.iter().map(|file| (text(file, "path"), line(file))).collect())
}

fn image(odd: &Odd) -> String {
    format!("localhost/odd:{}", odd.name)
}

#[test]
fn inspect_sees_of_odd_layers_what_containerd_mounts() {
    let _host = Host::ordinary();
    let mut wrong = Vec::new();
    for odd in corpus() {
        let archive = write_raw(&image(&odd), &odd.layers, isolation::state_dir());
        let (theirs, ours) = (containerd(&odd, &archive), ours(&archive));
        if theirs.as_ref() != ours.as_ref().ok() {
            wrong.push(format!("{}:\n  containerd {theirs:?}\n  ours       {ours:?}", odd.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ\n{}", wrong.len(), corpus().len(), wrong.join("\n"));
}

/// `flatten` and `records --rebuild` change what an image consists of, and nothing that a container sees.
#[test]
fn odd_layers_are_seen_as_before_once_they_are_rewritten() {
    let host = Host::ordinary();
    let (mut wrong, mut compared) = (Vec::new(), 0);
    let look = |root: &Path, seen: &mut Seen| {
        walk_closely(root, seen);
        seen.retain(|path, _| !path.starts_with("/.micrun"));
    };
    let new = isolation::state_dir().join("rewritten.tar");
    let output = new.to_str().expect("UTF-8");
    for odd in corpus() {
        let archive = write_raw(&image(&odd), &odd.layers, isolation::state_dir());
        // One has control characters in a name, the other a byte that is no UTF-8.
        let no_record = matches!(odd.name, "control-characters" | "signed-sum");
        let before = if no_record { Some(Seen::new()) } else { mounted(&image(&odd), &archive, look) };
        let Some(before) = before else { continue };
        for verb in [&["flatten"][..], &["records", "--rebuild"]] {
            let tag = format!("localhost/{}:{}", verb[0], odd.name);
            let archive = archive.to_str().expect("UTF-8");
            let ran = firmware::builder(&[verb, &[archive, "--tag", &tag, "--output", output]].concat());
            if no_record {
                assert!(ran.failure().contains("no record can list the file"));
                continue;
            }
            ran.success();
            let after = mounted(&tag, &new, look);
            compared += 1;
            if after.as_ref() != Some(&before) {
                wrong.push(format!("{} {verb:?}:\n  before {before:?}\n  after  {after:?}", odd.name));
            }
        }
    }
    assert!(compared > 100, "{compared}");
    assert!(wrong.is_empty(), "{} of {compared} differ\n{}", wrong.len(), wrong.join("\n"));
    host.assert_clean();
}
