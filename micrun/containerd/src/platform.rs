//! Which images containerd takes on this machine.

use std::env::consts::ARCH;

/// How well an image of a platform fits this machine, as containerd sees it (its `platforms`, `compare.go`): the least is
/// the best, none is not for it.
pub fn rank(os: &str, arch: &str, variant: Option<&str>) -> Option<usize> {
    rank_on(ARCH, os, arch, variant)
}

fn rank_on(machine: &str, os: &str, arch: &str, variant: Option<&str>) -> Option<usize> {
    // Without a variant, and with the one that an architecture has without saying so.
    let plain = match (arch, variant) {
        ("arm64", None | Some("8" | "v8")) | ("amd64", None | Some("v1")) => (arch, ""),
        ("arm", None) => (arch, "v7"),
        (_, variant) => (arch, variant.unwrap_or_default()),
    };
    let taken: &[(&str, &str)] = match machine {
        "x86_64" => &[("amd64", ""), ("386", "")],
        "aarch64" => &[("arm64", ""), ("arm", "v8"), ("arm", "v7"), ("arm", "v6"), ("arm", "v5")],
        "arm" => &[("arm", "v7"), ("arm", "v6"), ("arm", "v5")],
        "riscv64" => &[("riscv64", "")],
        _ => &[],
    };
    taken.iter().position(|it| os == "linux" && *it == plain)
}

#[cfg(test)]
mod tests {
    use super::rank_on;

    #[test]
    fn a_machine_takes_its_own_first() {
        let on_arm64 = |arch, variant| rank_on("aarch64", "linux", arch, variant);
        assert_eq!(on_arm64("arm64", None), Some(0));
        assert_eq!(on_arm64("arm64", Some("v8")), Some(0));
        assert!(on_arm64("arm", None) == on_arm64("arm", Some("v7")) && on_arm64("arm", None) > Some(0));
        assert!(on_arm64("arm", Some("v6")) > on_arm64("arm", Some("v7")));
        assert_eq!(on_arm64("amd64", None), None);
        assert_eq!(rank_on("x86_64", "linux", "amd64", Some("v1")), Some(0));
        assert_eq!(rank_on("x86_64", "windows", "amd64", None), None);
        assert_eq!(rank_on("x86_64", "unknown", "unknown", None), None);
    }
}
