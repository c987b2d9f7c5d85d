//! Mount options as containerd sends them: mount(8)'s words, each a flag of mount(2) or data for the file system.
//!
//! The words are those of containerd's mount library (`core/mount/mount_linux.go`), and the propagation types of
//! mount(8).

use nix::mount::MsFlags;

use super::id_map::IdMap;
use crate::error::{Error, Result};

/// Words that are flags, and whether they set or clear them.
const FLAGS: [(&str, MsFlags, bool); 25] = [
    ("async", MsFlags::MS_SYNCHRONOUS, false),
    ("atime", MsFlags::MS_NOATIME, false),
    ("bind", MsFlags::MS_BIND, true),
    ("defaults", MsFlags::empty(), true),
    ("dev", MsFlags::MS_NODEV, false),
    ("diratime", MsFlags::MS_NODIRATIME, false),
    ("dirsync", MsFlags::MS_DIRSYNC, true),
    ("exec", MsFlags::MS_NOEXEC, false),
    ("mand", MsFlags::MS_MANDLOCK, true),
    ("noatime", MsFlags::MS_NOATIME, true),
    ("nodev", MsFlags::MS_NODEV, true),
    ("nodiratime", MsFlags::MS_NODIRATIME, true),
    ("noexec", MsFlags::MS_NOEXEC, true),
    ("nomand", MsFlags::MS_MANDLOCK, false),
    ("norelatime", MsFlags::MS_RELATIME, false),
    ("nostrictatime", MsFlags::MS_STRICTATIME, false),
    ("nosuid", MsFlags::MS_NOSUID, true),
    ("rbind", MsFlags::MS_BIND.union(MsFlags::MS_REC), true),
    ("relatime", MsFlags::MS_RELATIME, true),
    ("remount", MsFlags::MS_REMOUNT, true),
    ("ro", MsFlags::MS_RDONLY, true),
    ("rw", MsFlags::MS_RDONLY, false),
    ("strictatime", MsFlags::MS_STRICTATIME, true),
    ("suid", MsFlags::MS_NOSUID, false),
    ("sync", MsFlags::MS_SYNCHRONOUS, true),
];

/// Words that choose the propagation type, which takes a call of its own; the last one counts.
const PROPAGATION: [(&str, MsFlags); 8] = [
    ("private", MsFlags::MS_PRIVATE),
    ("rprivate", MsFlags::MS_PRIVATE.union(MsFlags::MS_REC)),
    ("rshared", MsFlags::MS_SHARED.union(MsFlags::MS_REC)),
    ("rslave", MsFlags::MS_SLAVE.union(MsFlags::MS_REC)),
    ("runbindable", MsFlags::MS_UNBINDABLE.union(MsFlags::MS_REC)),
    ("shared", MsFlags::MS_SHARED),
    ("slave", MsFlags::MS_SLAVE),
    ("unbindable", MsFlags::MS_UNBINDABLE),
];

/// Options that containerd's mount manager consumes; a shim never sees them unless something went wrong there.
const INTERNAL: &str = "X-containerd.";

/// The options of one mount.
#[derive(Debug)]
pub(super) struct Options {
    /// Flags of mount(2), without the propagation type.
    pub flags: MsFlags,
    /// The propagation type, with `MS_REC` for a whole tree; empty leaves it as it comes.
    pub propagation: MsFlags,
    /// What the file system itself interprets.
    pub data: Vec<String>,
    /// The source is a file, to be attached to a loop device.
    pub on_loop: bool,
    /// How the owners of files are mapped.
    pub idmap: Option<IdMap>,
}

impl Options {
    /// Those that are data for the file system alone.
    pub(super) fn with(data: Vec<String>) -> Self {
        let none = MsFlags::empty();
        Self { flags: none, propagation: none, data, on_loop: false, idmap: None }
    }

    /// Reads the options of a mount of this type.
    pub(super) fn parse(kind: &str, words: &[String]) -> Result<Self> {
        let mut options = Self::with(Vec::new());
        let (mut uids, mut gids) = (None, None);
        for word in words {
            if let Some((_, flags, on)) = FLAGS.iter().find(|(name, ..)| name == word) {
                options.flags.set(*flags, *on);
            } else if let Some((_, propagation)) = PROPAGATION.iter().find(|(name, _)| name == word) {
                options.propagation = *propagation;
            } else if word == "loop" {
                options.on_loop = true;
            } else if let Some(map) = word.strip_prefix("uidmap=") {
                uids = Some(map);
            } else if let Some(map) = word.strip_prefix("gidmap=") {
                gids = Some(map);
            } else if word.starts_with(INTERNAL) {
                return Err(refused(kind, format!("`{word}` is for containerd's mount manager alone")));
            } else {
                options.data.push(word.clone());
            }
        }
        options.idmap = match (uids, gids) {
            (None, None) => None,
            (Some(uids), Some(gids)) => {
                Some(IdMap::parse(uids, gids).map_err(|reason| refused(kind, reason))?)
            }
            _ => return Err(refused(kind, "`uidmap=` and `gidmap=` need each other".into())),
        };
        Ok(options)
    }

    /// Whether all of these flags are set.
    pub(super) fn has(&self, flags: MsFlags) -> bool {
        self.flags.contains(flags)
    }

    /// Takes a word out of the data; false when it is not there.
    pub(super) fn take(&mut self, word: &str) -> bool {
        let before = self.data.len();
        self.data.retain(|option| option != word);
        self.data.len() != before
    }
}

/// An error for options that cannot be honoured.
pub(super) fn refused(kind: &str, reason: String) -> Error {
    Error::MountOptions { kind: kind.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Options> {
        Options::parse("overlay", &words.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_split_into_flags_and_data() {
        let options = parse("ro nosuid lowerdir=/a:/b index=off rw defaults").unwrap();
        assert_eq!(options.flags, MsFlags::MS_NOSUID);
        assert_eq!(options.data, ["lowerdir=/a:/b", "index=off"]);
        assert!(!options.on_loop && options.idmap.is_none());
    }

    #[test]
    fn every_flag_has_its_opposite() {
        for (on, off) in [
            ("sync", "async"),
            ("noatime", "atime"),
            ("nodev", "dev"),
            ("nodiratime", "diratime"),
            ("noexec", "exec"),
            ("mand", "nomand"),
            ("relatime", "norelatime"),
            ("strictatime", "nostrictatime"),
            ("nosuid", "suid"),
            ("ro", "rw"),
        ] {
            assert!(!parse(on).unwrap().flags.is_empty(), "{on}");
            assert!(parse(&format!("{on} {off}")).unwrap().flags.is_empty(), "{off}");
        }
    }

    #[test]
    fn the_propagation_type_is_no_flag_of_the_mount() {
        let options = parse("rbind rw rslave").unwrap();
        assert_eq!(options.flags, MsFlags::MS_BIND | MsFlags::MS_REC);
        assert_eq!(options.propagation, MsFlags::MS_SLAVE | MsFlags::MS_REC);
        assert_eq!(parse("bind shared private").unwrap().propagation, MsFlags::MS_PRIVATE);
    }

    #[test]
    fn words_for_the_shim_do_not_reach_the_file_system() {
        let mut options = parse("loop direct-io uidmap=0:1000:10 gidmap=0:1000:10 noload").unwrap();
        assert!(options.on_loop && options.idmap.is_some());
        assert!(options.take("direct-io") && !options.take("direct-io"));
        assert_eq!(options.data, ["noload"]);
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        for (words, part) in [
            ("X-containerd.mkdir=x", "`X-containerd.mkdir=x` is for containerd's mount manager alone"),
            ("uidmap=0:1000:10", "need each other"),
            ("uidmap=0:1000 gidmap=0:1000:10", "`0:1000`"),
        ] {
            let message = parse(words).unwrap_err().to_string();
            assert!(message.contains(part), "{words}: {message}");
        }
    }
}
