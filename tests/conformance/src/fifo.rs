//! The FIFOs between a shim and its client.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use micrun_host_tests::wait;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

/// Makes a FIFO.
pub fn make(path: &Path) {
    mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap_or_else(|e| panic!("making {}: {e}", path.display()));
}

/// Opens a FIFO to read without waiting for a writer; reading does not wait either.
pub fn open_nonblocking(path: &Path) -> File {
    let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path);
    file.unwrap_or_else(|error| panic!("opening {}: {error}", path.display()))
}

/// A reader of a FIFO that keeps all that comes.
#[derive(Clone)]
pub struct Reader {
    path: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    ended: bool,
}

impl Reader {
    /// Reads a FIFO, once there is a writer, to its end.
    pub fn of(path: &Path) -> Self {
        let state = Arc::<Mutex<State>>::default();
        let (sink, source) = (Arc::clone(&state), path.to_owned());
        thread::spawn(move || {
            let mut file = File::open(source).expect("the FIFO is there");
            let mut buffer = [0; 16384];
            while let Ok(count @ 1..) = file.read(&mut buffer) {
                sink.lock().unwrap().bytes.extend_from_slice(&buffer[..count]);
            }
            sink.lock().unwrap().ended = true;
        });
        Self { path: path.to_owned(), state }
    }

    /// All that has come, without carriage returns: consoles differ in them.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.state.lock().unwrap().bytes).replace('\r', "")
    }

    /// Whether the last writer has gone.
    pub fn ended(&self) -> bool {
        self.state.lock().unwrap().ended
    }

    /// Waits for a text.
    #[track_caller]
    pub fn expect(&self, text: &str) {
        let found = wait::poll(|| self.text().contains(text).then_some(()));
        assert!(
            found.is_some(),
            "{} did not bring {text:?} but {:?}",
            self.path.display(),
            tail(&self.text())
        );
    }

    /// Waits for a whole line. A console's echo and its prompt are lines of their own.
    #[track_caller]
    pub fn expect_line(&self, line: &str) {
        let found =
            wait::poll(|| self.text().split_inclusive('\n').any(|l| l == format!("{line}\n")).then_some(()));
        assert!(
            found.is_some(),
            "{} did not bring {line:?} but {:?}",
            self.path.display(),
            tail(&self.text())
        );
    }

    /// Waits for the end; answers all that came.
    #[track_caller]
    pub fn to_end(&self) -> String {
        let ended = wait::poll(|| self.ended().then_some(()));
        assert!(ended.is_some(), "{} does not end after {:?}", self.path.display(), tail(&self.text()));
        self.text()
    }
}

fn tail(text: &str) -> &str {
    let at = text.len().saturating_sub(400);
    text.get(at..).unwrap_or(text)
}

/// The standard streams that containerd makes for a container.
pub struct Stdio {
    dir: PathBuf,
    stdin: Option<File>,
    /// What the container prints.
    pub stdout: Reader,
    /// What it prints to stderr.
    pub stderr: Reader,
}

impl Stdio {
    /// Makes three FIFOs in a folder, and reads the last two.
    pub fn make(dir: PathBuf) -> Self {
        fs::create_dir_all(&dir).expect("the folder can be made");
        for name in ["stdin", "stdout", "stderr"] {
            make(&dir.join(name));
        }
        // Open for reading as well, so that what is typed before the shim opens its end waits in the FIFO.
        let stdin = OpenOptions::new().read(true).write(true).open(dir.join("stdin")).expect("it is there");
        let (stdout, stderr) = (Reader::of(&dir.join("stdout")), Reader::of(&dir.join("stderr")));
        Self { dir, stdin: Some(stdin), stdout, stderr }
    }

    /// The path of a stream.
    pub fn path(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// Types.
    pub fn send(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        stdin.write_all(text.as_bytes()).expect("stdin can be written");
    }

    /// Goes away as the writer of stdin.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }
}
