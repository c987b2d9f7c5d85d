//! Where a container's cgroup is, from the specification's `linux.cgroupsPath`.

use std::path::{Component, PathBuf};

use crate::error::{Error, Result};

/// The unit of systemd that a cgroup is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    /// The slice in which it lies.
    pub slice: String,
    /// Its own name: `*.scope`.
    pub name: String,
}

/// The directory below a hierarchy's root, and the unit of systemd that it is to be.
///
/// Three forms are in use: an absolute path; a relative one, which begins at the root as well; and systemd's
/// `SLICE:PREFIX:NAME`, of which the kubelet's systemd driver makes `SLICE` with its parents and
/// `PREFIX-NAME.scope` (as runc does).
pub(super) fn parse(text: &str) -> Result<(PathBuf, Option<Unit>)> {
    let refuse = |reason| Err(Error::Invalid(format!("linux.cgroupsPath `{text}` is refused: {reason}")));
    let mut unit = None;
    let path = match text.split(':').collect::<Vec<_>>()[..] {
        [slice, prefix, name] if !text.starts_with('/') => {
            let slice = if slice.is_empty() { "system.slice" } else { slice };
            let Some(dir) = slice_dir(slice) else { return refuse("it names no slice of systemd") };
            if name.is_empty() {
                return refuse("it names no unit");
            }
            let name = unit_name(prefix, name);
            if name.contains('/') {
                return refuse("its unit has a name with `/`");
            }
            if name.strip_suffix(".scope").is_some() {
                unit = Some(Unit { slice: slice.to_owned(), name: name.clone() });
            }
            dir.join(name)
        }
        _ => PathBuf::from(text.trim_start_matches('/')),
    };
    let clean = path.components().all(|part| matches!(part, Component::Normal(_)));
    if !clean || path.as_os_str().is_empty() {
        return refuse("it must name a directory below the root, without `..`");
    }
    Ok((path, unit))
}

/// Refuses a `linux.cgroupsPath` of a Linux container that leads out of the hierarchy's root. The OCI runtime reads the
/// rest, which may be empty.
pub(crate) fn check(text: &str) -> Result<()> {
    if text.split(['/', ':']).any(|part| part == "..") {
        return Err(Error::Invalid(format!(
            "linux.cgroupsPath `{text}` is refused: it must not contain `..`"
        )));
    }
    Ok(())
}

fn unit_name(prefix: &str, name: &str) -> String {
    match (name.strip_suffix(".slice").is_some(), prefix) {
        (true, _) => name.to_owned(),
        (false, "") => format!("{name}.scope"),
        (false, prefix) => format!("{prefix}-{name}.scope"),
    }
}

/// `a-b.slice` lies in `a.slice` (systemd.slice(5)).
fn slice_dir(slice: &str) -> Option<PathBuf> {
    let name = match slice {
        "-.slice" => return Some(PathBuf::new()),
        other => other.strip_suffix(".slice")?,
    };
    if name.contains('/') || name.split('-').any(str::is_empty) {
        return None;
    }
    let ends = name.match_indices('-').map(|(at, _)| at).chain([name.len()]);
    Some(ends.map(|end| format!("{}.slice", &name[..end])).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn all_forms() {
        for (text, path, unit) in [
            ("/default/c1", "default/c1", None),
            ("default/c1", "default/c1", None),
            ("/kubepods/burstable/pod1/c1", "kubepods/burstable/pod1/c1", None),
            (
                "kubepods-burstable-pod1.slice:cri-containerd:c1",
                "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-c1.scope",
                Some(("kubepods-burstable-pod1.slice", "cri-containerd-c1.scope")),
            ),
            (":docker:c1", "system.slice/docker-c1.scope", Some(("system.slice", "docker-c1.scope"))),
            ("-.slice::c1", "c1.scope", Some(("-.slice", "c1.scope"))),
            ("a.slice:x:a-b.slice", "a.slice/a-b.slice", None),
            ("/odd:but:absolute", "odd:but:absolute", None),
        ] {
            let (found, made) = parse(text).unwrap();
            assert_eq!(found, Path::new(path), "{text}");
            let wanted = unit.map(|(slice, name)| Unit { slice: slice.to_owned(), name: name.to_owned() });
            assert_eq!(made, wanted, "{text}");
        }
    }

    #[test]
    fn nothing_leads_out() {
        for text in [
            "",
            "/",
            "/../x",
            "a/../../b",
            "../x",
            "./x",
            "a--b.slice:x:y",
            "a/b.slice:x:y",
            "x:y:z",
            "a.slice:x:",
            "a.slice:../..:y",
            "a.slice:x/y:z",
        ] {
            assert!(parse(text).is_err(), "{text}");
            assert_eq!(check(text).is_err(), text.contains(".."), "{text}");
        }
        for text in ["a..b", "/default/c1...", "a.slice:x..:y"] {
            check(text).unwrap();
        }
    }
}
