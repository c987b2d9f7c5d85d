//! What targets share that need files: a directory of their own for each input, and tars whose sums are right. It is no
//! target.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

/// An empty directory `root`, in one that must hold nothing else afterwards.
pub struct Scratch {
    dir: TempDir,
    pub root: PathBuf,
}

impl Scratch {
    /// A new one.
    pub fn new() -> Self {
        let dir = TempDir::new().expect("the temporary directory can be written");
        let root = dir.path().join("root");
        fs::create_dir(&root).expect("the directory is new");
        Self { dir, root }
    }

    /// Panics if something has been made beside the root.
    pub fn check(&self) {
        let beside = fs::read_dir(self.dir.path()).expect("it is there").flatten();
        let names: Vec<_> = beside.map(|entry| entry.file_name()).collect();
        assert_eq!(names, ["root"], "something got out");
    }
}

/// Writes into each header of a tar the sum that it should have: without it nothing behind would ever be read.
pub fn sum_headers(tar: &mut [u8]) {
    const MAGIC: std::ops::Range<usize> = 257..262;
    const SUM: std::ops::Range<usize> = 148..156;
    for block in tar.chunks_exact_mut(512).filter(|block| &block[MAGIC] == b"ustar") {
        block[SUM].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[SUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}
