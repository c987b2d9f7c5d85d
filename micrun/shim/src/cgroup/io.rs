//! What a cgroup has read from block devices and written to them. A file that the kernel does not have, and one that says
//! nothing, give no message: nothing was measured.

use std::path::Path;

use containerd_shim_protos::{cgroups::metrics as v1, cgroups_v2::metrics as v2};

/// Where the kernel names block devices by their numbers.
const DEVICES: &str = "/sys/dev/block";

/// In version 1 (`cgroup-v1/blkio-controller.rst`): what the throttle policy has counted, with all cgroups below. The files
/// of CFQ count only where that scheduler is, which the kernel lost with 5.0.
pub(super) fn v1(dir: &Path) -> Option<v1::BlkIOStat> {
    let entries = |file: &str| {
        let read = |suffix: &str| std::fs::read_to_string(dir.join(format!("blkio.throttle.{file}{suffix}")));
        let text = read("_recursive").or_else(|_| read("")).unwrap_or_default();
        text.lines().filter_map(entry_v1).collect::<Vec<_>>()
    };
    let mut stat = v1::BlkIOStat::new();
    stat.io_service_bytes_recursive = entries("io_service_bytes");
    stat.io_serviced_recursive = entries("io_serviced");
    let measured = !stat.io_service_bytes_recursive.is_empty() || !stat.io_serviced_recursive.is_empty();
    measured.then_some(stat)
}

/// `MAJOR:MINOR OPERATION NUMBER`; the line of all devices together begins otherwise.
fn entry_v1(line: &str) -> Option<v1::BlkIOEntry> {
    let mut words = line.split_whitespace();
    let numbers = words.next()?;
    let (major, minor) = device(numbers)?;
    let mut entry = v1::BlkIOEntry::new();
    words.next()?.clone_into(&mut entry.op);
    entry.value = words.next()?.parse().ok()?;
    (entry.major, entry.minor) = (major, minor);
    let name = std::fs::read_link(Path::new(DEVICES).join(numbers)).unwrap_or_default();
    entry.device = name.file_name().map(|name| format!("/dev/{}", name.display())).unwrap_or_default();
    Some(entry)
}

/// In version 2 (`cgroup-v2.rst`, `io.stat`).
pub(super) fn v2(dir: &Path) -> Option<v2::IOStat> {
    let text = std::fs::read_to_string(dir.join("io.stat")).ok()?;
    let mut stat = v2::IOStat::new();
    stat.usage = text.lines().filter_map(entry_v2).collect();
    (!stat.usage.is_empty()).then_some(stat)
}

/// `MAJOR:MINOR` and pairs of a key and a number.
fn entry_v2(line: &str) -> Option<v2::IOEntry> {
    let (numbers, pairs) = line.split_once(' ')?;
    let mut entry = v2::IOEntry::new();
    (entry.major, entry.minor) = device(numbers)?;
    for (key, value) in pairs.split_whitespace().filter_map(|pair| pair.split_once('=')) {
        let value = value.parse().unwrap_or_default();
        match key {
            "rbytes" => entry.rbytes = value,
            "wbytes" => entry.wbytes = value,
            "rios" => entry.rios = value,
            "wios" => entry.wios = value,
            _ => {}
        }
    }
    Some(entry)
}

fn device(numbers: &str) -> Option<(u64, u64)> {
    let (major, minor) = numbers.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    #[test]
    fn version_1_has_a_line_for_each_device_and_operation() {
        let dir = write(&[
            ("blkio.throttle.io_service_bytes", "8:0 Read 1\n8:0 Total 1\nTotal 1\n"),
            ("blkio.throttle.io_service_bytes_recursive", "8:0 Read 4096\n8:16 Write 512\nTotal 4608\n"),
            ("blkio.throttle.io_serviced", "8:0 Read 1\nTotal 1\n"),
        ]);
        let stat = v1(dir.path()).unwrap();
        let short = |entries: &[v1::BlkIOEntry]| -> Vec<_> {
            entries.iter().map(|it| (it.major, it.minor, it.op.clone(), it.value)).collect()
        };
        let bytes = short(&stat.io_service_bytes_recursive);
        assert_eq!(bytes, [(8, 0, "Read".into(), 4096), (8, 16, "Write".into(), 512)]);
        assert_eq!(short(&stat.io_serviced_recursive), [(8, 0, "Read".into(), 1)]);
    }

    #[test]
    fn version_2_has_a_line_for_each_device() {
        let dir = write(&[("io.stat", "8:0 rbytes=4096 wbytes=512 rios=2 wios=1 dbytes=9 dios=9\n254:0 \n")]);
        let usage = v2(dir.path()).unwrap().usage;
        let entry = &usage[0];
        assert_eq!((entry.major, entry.minor), (8, 0));
        assert_eq!((entry.rbytes, entry.wbytes, entry.rios, entry.wios), (4096, 512, 2, 1));
        assert_eq!((usage.len(), usage[1].major), (2, 254));
    }

    #[test]
    fn what_was_not_measured_is_absent() {
        let dir = write(&[("io.stat", ""), ("blkio.throttle.io_serviced", "Total 0\n")]);
        assert!(v1(dir.path()).is_none() && v2(dir.path()).is_none());
        let empty = write(&[]);
        assert!(v1(empty.path()).is_none() && v2(empty.path()).is_none());
    }
}
