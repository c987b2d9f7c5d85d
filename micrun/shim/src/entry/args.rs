//! The command line that containerd uses: Go's `flag` package, one action at the end.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::error::{Error, Result};

/// What containerd asks the binary to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Action {
    /// Run the ttrpc server (no action word).
    #[default]
    Serve,
    /// Start a server and answer its address.
    Start,
    /// Clean up after a shim that is gone.
    Delete,
    /// Hold the namespaces of a pod; for the server itself.
    Hold,
    /// Make the namespaces of a pod with users of its own; for the server itself.
    Enter,
    /// Be in a new user namespace for a moment; for the server itself.
    Userns,
    /// Copy a firmware; for the server itself.
    Copy,
    /// Print the version.
    Version,
    /// Print a `RuntimeInfo`.
    Info,
    /// Print the usage.
    Help,
}

/// The flags of the runtime v2 contract (containerd, `core/runtime/v2/README.md`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Args {
    /// containerd's namespace.
    pub namespace: String,
    /// Container or sandbox id.
    pub id: String,
    /// containerd's gRPC address.
    pub address: String,
    /// containerd's own binary, which older shims publish events with.
    pub publish_binary: String,
    /// The bundle; containerd also makes it the working directory.
    pub bundle: PathBuf,
    /// Log more.
    pub debug: bool,
    /// What to do.
    pub action: Action,
}

/// The usage text.
pub(crate) const USAGE: &str = "\
containerd-shim-mica-v2: runs RTOS firmware as containers; containerd starts it for io.containerd.mica.v2

usage: containerd-shim-mica-v2 [flags] [start|delete]
  -namespace NS          containerd's namespace
  -id ID                 container or sandbox id
  -address ADDR          containerd's gRPC address
  -publish-binary PATH   containerd's binary
  -bundle DIR            the OCI bundle
  -debug                 log debug messages
  -info                  print the runtime's RuntimeInfo message (protobuf)
  -v                     print the version
";

impl Args {
    /// Reads the arguments that follow the program's name.
    pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self> {
        let mut parsed = Self::default();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let arg = arg
                .into_string()
                .map_err(|arg| Error::Usage(format!("argument `{}` is not UTF-8", arg.display())))?;
            let Some(flag) = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')) else {
                parsed.action = match arg.as_str() {
                    "start" => Action::Start,
                    "delete" => Action::Delete,
                    "hold" => Action::Hold,
                    "enter" => Action::Enter,
                    "userns" => Action::Userns,
                    "copy" => Action::Copy,
                    other => return Err(Error::Usage(format!("unknown action `{other}`"))),
                };
                continue;
            };
            let (name, inline) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag, None),
            };
            if parsed.switch(name, inline.as_deref())? {
                continue;
            }
            let value = match inline {
                Some(value) => value,
                None => args
                    .next()
                    .and_then(|v| v.into_string().ok())
                    .ok_or_else(|| Error::Usage(format!("flag -{name} needs a value")))?,
            };
            parsed.value(name, value)?;
        }
        Ok(parsed)
    }

    /// Takes a flag without a value; false when `name` is none of them.
    fn switch(&mut self, name: &str, inline: Option<&str>) -> Result<bool> {
        if !["debug", "v", "version", "info", "h", "help"].contains(&name) {
            return Ok(false);
        }
        let on = match inline {
            None | Some("true" | "1") => true,
            Some("false" | "0") => false,
            Some(other) => return Err(Error::Usage(format!("flag -{name}: `{other}` is not a boolean"))),
        };
        match name {
            "debug" => self.debug = on,
            _ if !on => {}
            "info" => self.action = Action::Info,
            "v" | "version" => self.action = Action::Version,
            _ => self.action = Action::Help,
        }
        Ok(true)
    }

    fn value(&mut self, name: &str, value: String) -> Result<()> {
        match name {
            "namespace" => self.namespace = value,
            "id" => self.id = value,
            "address" => self.address = value,
            "publish-binary" => self.publish_binary = value,
            "bundle" => self.bundle = value.into(),
            // containerd up to 1.7 names the socket of a shim that it loads; the address file says the same.
            "socket" => {}
            other => return Err(Error::Usage(format!("unknown flag -{other}"))),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args> {
        Args::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn containerd_1_6_start_line() {
        let args =
            parse("-namespace default -address /run/c.sock -publish-binary /usr/bin/containerd -id a1 start")
                .unwrap();
        assert_eq!((args.namespace.as_str(), args.id.as_str()), ("default", "a1"));
        assert_eq!((args.address.as_str(), args.action), ("/run/c.sock", Action::Start));
    }

    #[test]
    fn go_flag_spellings() {
        let args = parse("--namespace=k8s.io -id=x -debug=true -bundle /b delete").unwrap();
        assert_eq!(args.namespace, "k8s.io");
        assert!(args.debug);
        assert_eq!(args.bundle, PathBuf::from("/b"));
        assert_eq!(args.action, Action::Delete);
        assert!(!parse("-debug=false").unwrap().debug);
        assert_eq!(parse("-info").unwrap().action, Action::Info);
    }

    #[test]
    fn mistakes_are_named() {
        for (line, part) in [
            ("-namespace", "-namespace needs a value"),
            ("-frobnicate x", "unknown flag -frobnicate"),
            ("restart", "unknown action `restart`"),
            ("-debug=maybe", "`maybe` is not a boolean"),
        ] {
            let message = parse(line).unwrap_err().to_string();
            assert!(message.contains(part), "{line}: {message}");
        }
    }
}
