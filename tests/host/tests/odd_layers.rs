//! Layers that readers understand differently: containerd unpacks and mounts them, and `inspect` must see the same.
#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use micrun_host_tests::archive::write_raw;
use micrun_host_tests::containerd::ctr;
use micrun_host_tests::odd::{Odd, corpus};
use micrun_host_tests::{Host, firmware, isolation};
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

/// What a container would see; `None` if containerd refuses the image.
fn containerd(odd: &Odd, archive: &Path) -> Option<Seen> {
    let image = image(odd);
    let target = isolation::state_dir().join("mounted");
    fs::create_dir_all(&target).expect("/run is writable");
    let (archive, target) = (archive.to_str().expect("UTF-8"), target.to_str().expect("UTF-8"));
    if ctr(&["images", "import", archive]).status != 0 {
        return None;
    }
    let mounted = ctr(&["images", "mount", &image, target]);
    if mounted.status != 0 {
        return None;
    }
    let mut seen = Seen::new();
    walk(Path::new(target), "", &mut seen);
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
