//! Runtime options that concern the shim itself.

use std::fs;
use std::path::{Path, PathBuf};

use containerd_shim_protos::bootstrap_api::{BootstrapParams, Extension};
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::shim::oci::Options;

use crate::case::{both, mica};
use crate::shim::Invocation;
use crate::{Case, Stage};

pub(super) const CASES: &[Case] = &[
    both!(containerd_shim_cgroup_holds_the_shim),
    mica!(containerd_2_3_shim_cgroup_in_the_params_holds_the_shim, "the oracle is of containerd 1.6"),
    both!(containerd_shim_cgroup_that_is_not_there_is_an_error),
];

const TYPE: &str = "containerd.runc.v1.Options";

fn options(stage: &Stage) -> Options {
    Options { shim_cgroup: format!("/{}/shim", stage.namespace), ..Default::default() }
}

/// `containerd.runc.v1.Options` as containerd up to 2.2 hands them to `start`.
fn legacy(options: &Options) -> Invocation {
    Invocation::default().with_options(TYPE, &options.write_to_bytes().unwrap())
}

/// Makes the cgroup in a hierarchy, with the memory controller where each has its own; answers its `cgroup.procs`.
fn make(options: &Options) -> PathBuf {
    let (own, one) = (Path::new("/sys/fs/cgroup/memory"), Path::new("/sys/fs/cgroup"));
    let root = if own.exists() { own } else { one };
    let group = root.join(options.shim_cgroup.trim_start_matches('/'));
    fs::create_dir_all(&group).unwrap();
    group.join("cgroup.procs")
}

/// The processes of a cgroup, as they are numbered here.
fn processes(procs: &Path) -> Vec<String> {
    fs::read_to_string(procs).unwrap().lines().map(str::to_owned).collect()
}

/// `shim_cgroup`, "place the shim in a cgroup".
fn containerd_shim_cgroup_holds_the_shim(stage: &mut Stage) {
    let options = options(stage);
    let procs = make(&options);
    let shim = stage.launch_as(&stage.bundle("one"), &legacy(&options));
    assert_eq!(processes(&procs), [shim.pid().to_string()]);
}

/// The same, where the options are an extension of `BootstrapParams`, beside others.
fn containerd_2_3_shim_cgroup_in_the_params_holds_the_shim(stage: &mut Stage) {
    let options = options(stage);
    let procs = make(&options);
    let mut params = BootstrapParams::new();
    params.instance_id = "one".into();
    params.namespace.clone_from(&stage.namespace);
    params.containerd_version = "2.3.1".into();
    for (name, value) in
        [("containerd.io/unheard.v9.Config", vec![8, 1]), (TYPE, options.write_to_bytes().unwrap())]
    {
        let value = Any { type_url: name.into(), value, ..Default::default() };
        params.extensions.push(Extension { value: Some(value).into(), ..Default::default() });
    }
    let stdin = params.write_to_bytes().unwrap();
    let shim = stage.launch_as(&stage.bundle("one"), &Invocation { stdin, ..Default::default() });
    assert_eq!(processes(&procs), [shim.pid().to_string()]);
}

/// What was asked for and cannot be had is no shim elsewhere.
fn containerd_shim_cgroup_that_is_not_there_is_an_error(stage: &mut Stage) {
    let output = stage.start(&stage.bundle("one"), &legacy(&options(stage)));
    assert!(!output.status.success(), "{output:?}");
}
