//! `BootstrapParams` on stdin, and Task v3: containerd 2.3 and later.

use containerd_shim_protos::bootstrap_api::{BootstrapParams, Extension};
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::protobuf::well_known_types::any::Any;

use crate::case::{both, mica};
use crate::container::Container;
use crate::events::topic;
use crate::reply::Form;
use crate::shim::Invocation;
use crate::task::{V2, V3};
use crate::{Case, Stage};

pub(super) const CASES: &[Case] = &[
    mica!(containerd_12786_params_are_answered_by_a_result, "the oracle is of containerd 1.6"),
    mica!(containerd_12786_socket_dir_is_where_the_socket_is, "the oracle is of containerd 1.6"),
    mica!(containerd_12786_events_go_to_the_address_in_the_params, "the oracle is of containerd 1.6"),
    mica!(smolvm_889_params_with_unknown_extensions_are_no_error, "the oracle is of containerd 1.6"),
    mica!(containerd_9671_options_of_other_runtimes_are_no_error, "runc's shim has options of its own"),
    mica!(containerd_2_0_task_v3_is_served_beside_v2, "the oracle is of containerd 1.6"),
    both!(containerd_2_0_trace_context_in_the_metadata_is_no_error),
];

fn params(stage: &Stage, id: &str) -> BootstrapParams {
    BootstrapParams {
        instance_id: id.into(),
        namespace: stage.namespace.clone(),
        containerd_version: "2.3.1".into(),
        containerd_ttrpc_address: stage.events.address(),
        containerd_grpc_address: "/run/containerd/containerd.sock".into(),
        containerd_binary: "/usr/bin/containerd".into(),
        ..Default::default()
    }
}

fn invocation(params: &BootstrapParams) -> Invocation {
    let stdin = params.write_to_bytes().unwrap();
    Invocation { stdin, ..Default::default() }.with("MAX_SHIM_VERSION", "2")
}

/// containerd#12786: `BootstrapParams` are answered by a `BootstrapResult`.
fn containerd_12786_params_are_answered_by_a_result(stage: &mut Stage) {
    let shim = stage.launch_as(&stage.bundle("one"), &invocation(&params(stage, "one")));
    assert_eq!((shim.reply.form, shim.reply.protocol.as_str()), (Form::Protobuf, "ttrpc"));
    assert!((2..=3).contains(&shim.reply.version), "{:?}", shim.reply);
    assert!(shim.connect().connect("one").unwrap().shim_pid > 0);
}

/// containerd 2.3, `io.containerd.shim.v1.manager`: the administrator chooses the folder of the sockets.
fn containerd_12786_socket_dir_is_where_the_socket_is(stage: &mut Stage) {
    let mut params = params(stage, "one");
    params.set_socket_dir("/run/sockets".into());
    let shim = stage.launch_as(&stage.bundle("one"), &invocation(&params));
    assert!(shim.socket().starts_with("/run/sockets"), "{}", shim.reply.address);
}

/// containerd#12786: the environment is deprecated, so the address of the events service in the params suffices.
fn containerd_12786_events_go_to_the_address_in_the_params(stage: &mut Stage) {
    let bundle = stage.bundle("one");
    let shim = stage.launch_as(&bundle, &invocation(&params(stage, "one")).with("TTRPC_ADDRESS", ""));
    Container::new(stage, bundle, shim).create();
    stage.events.expect("one", topic::CREATE);
}

/// smolvm#889: shims broke because they took stdin for the options they knew.
fn smolvm_889_params_with_unknown_extensions_are_no_error(stage: &mut Stage) {
    let mut params = params(stage, "one");
    let value =
        Any { type_url: "containerd.io/unheard.v9.Config".into(), value: vec![8, 1], ..Default::default() };
    params.extensions.push(Extension { value: Some(value).into(), ..Default::default() });
    let shim = stage.launch_as(&stage.bundle("one"), &invocation(&params));
    assert_eq!(shim.reply.form, Form::Protobuf);
}

/// containerd#9671: options of a runtime that is not called runc come as `runtimeoptions.v1.Options`.
fn containerd_9671_options_of_other_runtimes_are_no_error(stage: &mut Stage) {
    // Options { type_url: "x", config_path: "" , config_body: "" }
    let options = Invocation::default().with_options("runtimeoptions.v1.Options", b"\x0a\x01x");
    let reply = stage.launch_as(&stage.bundle("one"), &options).reply;
    assert_eq!(reply.form, Form::Plain);
}

/// containerd 2.0: Task v3 is a renamed copy of v2; a whole life goes through it, and v2 sees the same task.
fn containerd_2_0_task_v3_is_served_beside_v2(stage: &mut Stage) {
    let bundle = stage.bundle("one");
    let shim = stage.launch_as(&bundle, &invocation(&params(stage, "one")));
    let mut container = Container::new(stage, bundle, shim);
    container.task = container.task.speaking(V3);
    container.create();
    container.start();
    container.assert_answers("v3");
    assert_eq!(
        container.task.speaking(V2).state("one").unwrap().status,
        container.task.state("one").unwrap().status
    );
    assert_eq!(container.end(), 137);
    stage.events.expect_life("one");
}

/// containerd 2.0 sends a `traceparent` with each rpc (otelttrpc).
fn containerd_2_0_trace_context_in_the_metadata_is_no_error(stage: &mut Stage) {
    let shim = stage.launch(&stage.bundle("one"));
    let trace = [("traceparent", "00-11111111111111111111111111111111-2222222222222222-01")];
    let request = containerd_shim_protos::api::ConnectRequest { id: "one".into(), ..Default::default() };
    let answer =
        shim.connect().call_with::<containerd_shim_protos::api::ConnectResponse>("Connect", &request, &trace);
    assert!(answer.unwrap().shim_pid > 0);
}
