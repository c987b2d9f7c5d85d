//! Who could meddle.

use crate::machine::Machine;

#[test]
fn the_daemons_directory_is_its_own() {
    let machine = Machine::new();
    machine.mode("run/mica", 0o755);
    machine.examine().assert("permissions.runtime", "error", "/run/mica has mode 0755");
    machine.mode("run/mica", 0o700);
    machine.mode("run/mica/mica-create.socket", 0o666);
    let findings = machine.examine();
    findings.assert("permissions.runtime", "error", "/run/mica/mica-create.socket has mode 0666");
    let remedy = &findings.lines["permissions.runtime"]["remedy"];
    assert_eq!(remedy, "`chmod 0600 /run/mica/mica-create.socket`");
    machine.mode("run/mica/mica-create.socket", 0o600);
    machine.mode("run/mica/clients", 0o770);
    machine.examine().assert("permissions.runtime", "error", "/run/mica/clients has mode 0770");
}

/// A list of users as micad makes it (`linux/posix_acl_xattr.h`), for one of them.
fn let_in(machine: &Machine, path: &str, user: u32, permissions: u16) {
    let nobody = u32::MAX;
    let entries =
        [(1_u16, 7_u16, nobody), (2, permissions, user), (4, 0, nobody), (16, 7, nobody), (32, 0, nobody)];
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (kind, permissions, id) in entries {
        bytes.extend([kind.to_le_bytes(), permissions.to_le_bytes()].concat());
        bytes.extend(id.to_le_bytes());
    }
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(machine.path(path), "system.posix_acl_access", &bytes, flags).unwrap();
}

#[test]
fn users_of_the_list_are_let_in_and_no_others() {
    let machine = Machine::new();
    machine.write("etc/mica/micad.conf", "[Micad]\nAllowedUids = 1000\n");
    let_in(&machine, "run/mica", 1000, 5);
    let_in(&machine, "run/mica/mica-create.socket", 1000, 6);
    machine.examine().assert("permissions.runtime", "ok", "is for the daemon and the users of AllowedUids");
    let_in(&machine, "run/mica/mica-create.socket", 1001, 6);
    machine.examine().assert(
        "permissions.runtime",
        "error",
        "/run/mica/mica-create.socket lets user 1001 in, who is not in AllowedUids",
    );
    machine.mode("run/mica/mica-create.socket", 0o664);
    machine.examine().assert("permissions.runtime", "error", "/run/mica/mica-create.socket has mode 0664");
}

#[test]
fn the_configuration_is_roots() {
    let machine = Machine::new();
    machine.write("etc/mica/micad.conf", "");
    machine.mode("etc/mica/micad.conf", 0o664);
    machine.examine().assert("permissions.config", "error", "/etc/mica/micad.conf has mode 0664");
    machine.mode("etc/mica/micad.conf", 0o644);
    machine.write("etc/mica/micrun/conf.d/10-x.conf", "patch_directory = /srv/patches\n");
    machine.write("srv/patches/a.elf", "");
    machine.examine().assert("permissions.config", "ok", "only root");
    machine.mode("srv/patches", 0o777);
    machine.examine().assert("permissions.config", "error", "/srv/patches has mode 0777");
    machine.mode("srv/patches", 0o755);
    machine.mode("etc/mica/micrun/conf.d", 0o775);
    machine.examine().assert("permissions.config", "error", "/etc/mica/micrun/conf.d has mode 0775");
}

/// The files of another user are another's, whatever their mode is. Only root can make such.
#[test]
fn the_configuration_belongs_to_root() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let machine = Machine::new();
    machine.write("etc/mica/micad.conf", "");
    std::os::unix::fs::chown(machine.path("etc/mica/micad.conf"), Some(1000), None).unwrap();
    machine.examine().assert(
        "permissions.config",
        "error",
        "/etc/mica/micad.conf belongs to user 1000, not 0",
    );
}
