//! A folder of a test's own, in which the program runs with nothing of the user's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use micrun_host_tests::{Output, isolation, process};
use tempfile::TempDir;

/// More than the program sends in one piece with `--chunk 1`.
pub const LARGE: usize = 5 << 19;

/// The folder, removed in the end.
pub struct Bench(TempDir);

impl Default for Bench {
    fn default() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }
}

impl Bench {
    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, and the folders that it lies in.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it lies in the folder")).expect("writable");
        fs::write(&path, content).expect("writable");
        path
    }

    /// The image builder, to be run here.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(isolation::binary("micrun-image-builder"));
        self.settle(&mut command, args);
        command
    }

    /// Runs the image builder.
    pub fn run(&self, args: &[&str]) -> Output {
        process::run(&mut self.command(args))
    }

    /// A program that `tests/host/strangers` unpacked, to be run here.
    pub fn stranger(&self, suite: &str, name: &str, args: &[&str]) -> Command {
        let root = stranger(suite);
        let program = root.join("usr/bin").join(name);
        assert!(program.exists(), "{} is not there: run tests/host/strangers", program.display());
        let mut command = Command::new(program);
        command.env("LD_LIBRARY_PATH", root.join("usr/lib/x86_64-linux-gnu"));
        self.settle(&mut command, args);
        command
    }

    fn settle(&self, command: &mut Command, args: &[&str]) {
        command.args(args).current_dir(self.0.path()).env("HOME", self.0.path());
        for name in ["DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "http_proxy", "https_proxy"] {
            command.env_remove(name);
        }
    }

    /// Logs in with the password of [`crate::registry::PASSWORD`] or another one.
    pub fn login(&self, host: &str, password: &str) -> Output {
        let args = [
            "login",
            host,
            "-u",
            crate::registry::USER,
            "--password-stdin",
            "--plain-http",
            "--retries",
            "0",
        ];
        process::run_with_input(&mut self.command(&args), &format!("{password}\n"))
    }

    /// Packs firmware of `size` bytes under a name; answers the digest.
    pub fn pack(&self, name: &str, output: &str, size: usize) -> String {
        self.pack_with(name, output, size, &[])
    }

    /// The same with more options.
    pub fn pack_with(&self, name: &str, output: &str, size: usize, options: &[&str]) -> String {
        // Not all alike, so that a displaced byte changes a digest.
        let content: Vec<_> =
            (0_u32..).take(size).map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
        self.write("firmware.bin", content);
        let compression = if size < LARGE { "gzip" } else { "none" };
        let args = [
            "pack",
            "firmware.bin",
            "--load-address",
            "0x40000000",
            "--arch",
            "aarch64",
            "--os",
            "zephyr",
            "--memory",
            "128",
            "--platform",
            "linux/arm64",
            "--compression",
            compression,
            "-q",
            "-t",
            name,
            "-o",
            output,
        ];
        self.run(&[&args[..], options].concat()).success().trim_end().to_owned()
    }
}

/// The folder of a suite's programs.
pub fn stranger(suite: &str) -> PathBuf {
    let folder = isolation::workspace().join(".cache/strangers").join(suite);
    assert!(folder.join("complete").exists(), "{} is not there: run tests/host/strangers", folder.display());
    folder
}

/// The path as text.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}
