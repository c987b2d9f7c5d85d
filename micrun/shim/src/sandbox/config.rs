//! What a pod asks of its sandbox: CRI's `PodSandboxConfig`, which arrives as the options of `CreateSandbox`.
//!
//! Only the fields that concern a holder of namespaces are read, by their numbers in
//! `k8s.io/cri-api/pkg/apis/runtime/v1/api.proto`: generated code for all of CRI would outweigh the rest of the shim.

use std::collections::BTreeMap;

use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::protobuf::{self, CodedInputStream, rt};

use crate::error::{Error, Result};
use crate::oci::any;
use crate::oci::mount::IdMap;

/// The type's name, as containerd packs it.
const POD_SANDBOX_CONFIG: &str = "runtime.v1.PodSandboxConfig";

/// How far a namespace is shared: `NamespaceMode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// By the containers of the pod.
    #[default]
    Pod,
    /// By nobody: each container makes its own.
    Container,
    /// By the whole machine.
    Node,
}

/// What a sandbox holds, and with which settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Config {
    /// The pod's host name; empty is the machine's.
    pub hostname: String,
    /// The pod's cgroup, below the root of each hierarchy; empty when it has none.
    pub cgroup_parent: String,
    /// How names are resolved.
    pub dns: Dns,
    /// Kernel settings of the pod's namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// Whose network it is.
    pub network: Mode,
    /// Whose processes are seen.
    pub pid: Mode,
    /// Whose System V IPC and message queues are seen.
    pub ipc: Mode,
    /// Which users of the machine are the pod's, if not all.
    pub users: Option<IdMap>,
}

/// `DNSConfig`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Dns {
    servers: Vec<String>,
    searches: Vec<String>,
    options: Vec<String>,
}

impl Dns {
    fn parse(bytes: &[u8]) -> protobuf::Result<Self> {
        let mut dns = Self::default();
        fields(bytes, |number, input| {
            let list = match number {
                1 => &mut dns.servers,
                2 => &mut dns.searches,
                3 => &mut dns.options,
                _ => return Ok(false),
            };
            list.push(input.read_string()?);
            Ok(true)
        })?;
        Ok(dns)
    }

    /// The lines of a `resolv.conf`; empty if nothing is said.
    pub(super) fn text(&self) -> String {
        let line = |word: &str, list: &[String]| {
            if list.is_empty() { String::new() } else { format!("{word} {}\n", list.join(" ")) }
        };
        let servers = self.servers.iter().map(|server| line("nameserver", std::slice::from_ref(server)));
        let search = std::iter::once(line("search", &self.searches));
        search.chain(servers).chain([line("options", &self.options)]).collect()
    }
}

impl Default for Config {
    /// A sandbox about which nothing is said: IPC and host name of its own, as CRI has it.
    fn default() -> Self {
        Self {
            hostname: String::new(),
            cgroup_parent: String::new(),
            dns: Dns::default(),
            sysctls: BTreeMap::new(),
            network: Mode::Pod,
            pid: Mode::Container,
            ipc: Mode::Pod,
            users: None,
        }
    }
}

impl Config {
    /// Reads the options. Without any, all is as by default; of another type than CRI's they are refused.
    pub(super) fn read(any: &Any) -> Result<Self> {
        let name = any::name(any);
        if name.is_empty() && any.value.is_empty() {
            return Ok(Self::default());
        }
        if name != POD_SANDBOX_CONFIG {
            return Err(Error::Invalid(format!(
                "sandbox options of type `{name}` are not known: use {POD_SANDBOX_CONFIG}, or none"
            )));
        }
        let broken = |error| Error::Invalid(format!("the sandbox options {name} are malformed: {error}"));
        // Absent numbers are zero in protobuf: every namespace is the pod's until the message says otherwise.
        let mut config = Self { pid: Mode::Pod, ..Self::default() };
        config.pod(&any.value).map_err(broken)?;
        if config.users.as_ref().is_some_and(IdMap::is_empty) {
            return Err(Error::Invalid(format!(
                "the sandbox options {name} map no users: name them, or use the node's"
            )));
        }
        Ok(config)
    }

    fn pod(&mut self, bytes: &[u8]) -> protobuf::Result<()> {
        fields(bytes, |number, input| {
            match number {
                2 => self.hostname = input.read_string()?,
                4 => self.dns = Dns::parse(&input.read_bytes()?)?,
                8 => self.linux(&input.read_bytes()?)?,
                _ => return Ok(false),
            }
            Ok(true)
        })
    }

    fn linux(&mut self, bytes: &[u8]) -> protobuf::Result<()> {
        fields(bytes, |number, input| {
            match number {
                1 => self.cgroup_parent = input.read_string()?,
                2 => self.security(&input.read_bytes()?)?,
                3 => {
                    let (key, value) = entry(&input.read_bytes()?)?;
                    self.sysctls.insert(key, value);
                }
                _ => return Ok(false),
            }
            Ok(true)
        })
    }

    fn security(&mut self, bytes: &[u8]) -> protobuf::Result<()> {
        fields(bytes, |number, input| match number {
            1 => self.namespaces(&input.read_bytes()?).map(|()| true),
            _ => Ok(false),
        })
    }

    fn namespaces(&mut self, bytes: &[u8]) -> protobuf::Result<()> {
        fields(bytes, |number, input| {
            match number {
                1 => self.network = mode(input)?,
                2 => self.pid = mode(input)?,
                3 => self.ipc = mode(input)?,
                5 => self.users = users(&input.read_bytes()?)?,
                _ => return Ok(false),
            }
            Ok(true)
        })
    }
}

/// `UserNamespace`: that the message is there at all means `POD`, its default.
fn users(bytes: &[u8]) -> protobuf::Result<Option<IdMap>> {
    let (mut whose, mut map) = (Mode::Pod, IdMap::default());
    fields(bytes, |number, input| {
        match number {
            1 => whose = mode(input)?,
            2 => map.users.push_str(&range(&input.read_bytes()?)?),
            3 => map.groups.push_str(&range(&input.read_bytes()?)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok((whose == Mode::Pod).then_some(map))
}

/// `IDMapping` as a line of `uid_map`.
fn range(bytes: &[u8]) -> protobuf::Result<String> {
    let (mut host, mut container, mut length) = (0, 0, 0);
    fields(bytes, |number, input| {
        match number {
            1 => host = input.read_uint32()?,
            2 => container = input.read_uint32()?,
            3 => length = input.read_uint32()?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(IdMap::line(container, host, length))
}

fn mode(input: &mut CodedInputStream<'_>) -> protobuf::Result<Mode> {
    Ok(match input.read_int32()? {
        0 => Mode::Pod,
        2 => Mode::Node,
        _ => Mode::Container,
    })
}

/// One entry of a map of strings.
fn entry(bytes: &[u8]) -> protobuf::Result<(String, String)> {
    let (mut key, mut value) = Default::default();
    fields(bytes, |number, input| {
        match number {
            1 => key = input.read_string()?,
            2 => value = input.read_string()?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok((key, value))
}

/// Goes through the fields of a message; `take` says whether it has read the one it was shown.
fn fields(
    bytes: &[u8],
    mut take: impl FnMut(u32, &mut CodedInputStream<'_>) -> protobuf::Result<bool>,
) -> protobuf::Result<()> {
    const WIRE_TYPE_BITS: u32 = 3;
    let mut input = CodedInputStream::from_bytes(bytes);
    while let Some(tag) = input.read_raw_tag_or_eof()? {
        if !take(tag >> WIRE_TYPE_BITS, &mut input)? {
            rt::skip_field_for_tag(tag, &mut input)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field with a length.
    fn bytes(number: u8, value: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(value.len()).unwrap()][..], value].concat()
    }

    fn any(value: Vec<u8>) -> Any {
        let mut any = Any::new();
        POD_SANDBOX_CONFIG.clone_into(&mut any.type_url);
        any.value = value;
        any
    }

    #[test]
    fn what_cri_sends() {
        let namespaces = [1 << 3, 2, 2 << 3, 0, 3 << 3, 1];
        let sysctl = [bytes(1, b"net.core.somaxconn"), bytes(2, b"7")].concat();
        let linux =
            [bytes(1, b"/kubepods/pod1"), bytes(2, &bytes(1, &namespaces)), bytes(3, &sysctl)].concat();
        let dns =
            [bytes(1, b"1.1.1.1"), bytes(2, b"a.b"), bytes(2, b"b"), bytes(1, b"::1"), bytes(3, b"ndots:5")];
        let dns = bytes(4, &dns.concat());
        let pod =
            [bytes(1, b"\x0a\x01n"), bytes(2, b"host"), bytes(3, b"/logs"), dns, bytes(8, &linux)].concat();
        let config = Config::read(&any(pod)).unwrap();
        assert_eq!((config.hostname.as_str(), config.cgroup_parent.as_str()), ("host", "/kubepods/pod1"));
        assert_eq!((config.network, config.pid, config.ipc), (Mode::Node, Mode::Pod, Mode::Container));
        assert_eq!(config.sysctls["net.core.somaxconn"], "7");
        let lines = "search a.b b\nnameserver 1.1.1.1\nnameserver ::1\noptions ndots:5\n";
        assert_eq!(config.dns.text(), lines);
    }

    #[test]
    fn nothing_said_is_the_default() {
        assert_eq!(Config::read(&Any::new()).unwrap(), Config::default());
    }

    fn with_users(namespace: &[u8]) -> Result<Option<IdMap>> {
        Config::read(&any(bytes(8, &bytes(2, &bytes(1, &bytes(5, namespace)))))).map(|config| config.users)
    }

    #[test]
    fn users_of_its_own() {
        let range = |host: u8, container: u8| [1 << 3, host, 2 << 3, container, 3 << 3, 9];
        let pod = [bytes(2, &range(100, 0)), bytes(2, &range(50, 9)), bytes(3, &range(7, 0))].concat();
        let map = IdMap { users: "0 100 9\n9 50 9\n".into(), groups: "0 7 9\n".into() };
        assert_eq!(with_users(&pod).unwrap(), Some(map));
        assert_eq!(with_users(&[1 << 3, 2]).unwrap(), None, "the node's");
        assert!(with_users(&[]).unwrap_err().to_string().contains("map no users"));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for mut broken in [any(b"\x42\x7f".to_vec()), any(b"\x42\x02\x0a\x09".to_vec()), any(Vec::new())] {
            if broken.value.is_empty() {
                "kuasar.Options".clone_into(&mut broken.type_url);
            }
            let message = Config::read(&broken).unwrap_err().to_string();
            assert!(message.contains("sandbox options"), "{message}");
        }
    }
}
