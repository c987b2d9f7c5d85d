//! Which images containerd takes on this machine.

/// How well an image of a platform fits this machine, as containerd sees it (its `platforms`, `compare.go`): the least is
/// the best, none is not for it.
pub fn rank(os: &str, arch: &str, variant: Option<&str>) -> Option<usize> {
    // Without a variant, and with the one that an architecture has without saying so.
    let plain = match (arch, variant) {
        ("arm64", None | Some("8" | "v8")) | ("amd64", None | Some("v1")) => (arch, ""),
        ("arm", None) => (arch, "v7"),
        (_, variant) => (arch, variant.unwrap_or_default()),
    };
    let here: &[(&str, &str)] = match std::env::consts::ARCH {
        "x86_64" => &[("amd64", ""), ("386", "")],
        "aarch64" => &[("arm64", ""), ("arm", "v8"), ("arm", "v7"), ("arm", "v6"), ("arm", "v5")],
        "arm" => &[("arm", "v7"), ("arm", "v6"), ("arm", "v5")],
        "riscv64" => &[("riscv64", "")],
        _ => &[],
    };
    here.iter().position(|it| os == "linux" && *it == plain)
}
