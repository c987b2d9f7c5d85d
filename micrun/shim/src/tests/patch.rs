//! Update with a patch.

use std::fs;
use std::os::unix::fs::symlink;

use containerd_shim_protos::api::UpdateTaskRequest;
use containerd_shim_protos::shim_async::Task;
use containerd_shim_protos::ttrpc::{self, Code};

use super::fixture::{Fixture, Script, code, context};

const KEY: &str = "org.openeuler.micrun.patch";

async fn update(f: &Fixture, file: &str, resources: &str) -> ttrpc::Result<()> {
    let mut request = UpdateTaskRequest::new();
    request.id = "c".into();
    request.resources.mut_or_insert_default().value = resources.as_bytes().to_vec();
    request.annotations.insert(KEY.to_owned(), file.to_owned());
    f.service.update(&context(), request).await.map(drop)
}

#[tokio::test]
async fn a_patch_comes_from_the_directory_that_policy_names() {
    let mut f = Fixture::new(Script::default());
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("new.elf"), "a firmware").unwrap();
    fs::create_dir(dir.path().join("nothing")).unwrap();
    symlink("/etc/passwd", dir.path().join("link")).unwrap();
    f.configure(&format!("[Policy]\npatch_directory = {}\n", dir.path().display()));
    f.create().await.unwrap();
    f.start().await.unwrap();
    for outside in ["../new.elf", "link", "nothing", "missing.elf"] {
        assert_eq!(code(update(&f, outside, "").await), Code::INVALID_ARGUMENT, "{outside}");
    }
    let both = update(&f, "new.elf", "{}").await.unwrap_err();
    assert!(both.to_string().contains("send two"), "{both}");
    assert_eq!(f.daemon.count("patch"), 0);
    update(&f, "new.elf", "").await.unwrap();
    assert_eq!(f.daemon.count("patch"), 1);
}

#[tokio::test]
async fn a_host_that_names_no_directory_allows_no_patch() {
    let mut f = Fixture::new(Script::default());
    f.create().await.unwrap();
    f.start().await.unwrap();
    let refused = update(&f, "new.elf", "").await.unwrap_err().to_string();
    assert!(refused.contains("patch_directory, which"), "{refused}");
    assert_eq!(f.daemon.count("patch"), 0);
}

#[tokio::test]
async fn a_patch_is_no_larger_than_any_firmware() {
    let mut f = Fixture::new(Script::default());
    let dir = tempfile::tempdir().unwrap();
    fs::File::create(dir.path().join("new.elf")).unwrap().set_len((1 << 20) + 1).unwrap();
    f.configure(&format!("[Policy]\npatch_directory = {}\nmax_firmware_size = 1\n", dir.path().display()));
    f.create().await.unwrap();
    f.start().await.unwrap();
    let refused = update(&f, "new.elf", "").await.unwrap_err().to_string();
    assert!(refused.contains("the patch of 1048577 bytes, more than 1 MiB,"), "{refused}");
    assert_eq!(f.daemon.count("patch"), 0);
}
