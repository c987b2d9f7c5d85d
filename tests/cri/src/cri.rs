//! A CRI client: what the kubelet asks, and `crictl`.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::PathBuf;

use crate::node::GATEWAY;
use crate::stream::Stream;
use hyper_util::rt::TokioIo;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use k8s_cri::v1::{
    AttachRequest, ContainerConfig, ContainerMetadata, ContainerState, ContainerStatsRequest,
    ContainerStatus, CreateContainerRequest, DnsConfig, ExecRequest, ExecSyncRequest, ExecSyncResponse,
    IdMapping, ImageSpec, LinuxContainerConfig, LinuxContainerSecurityContext, LinuxPodSandboxConfig,
    LinuxSandboxSecurityContext, ListPodSandboxRequest, Mount, NamespaceMode, NamespaceOption,
    PodSandboxConfig, PodSandboxMetadata, PodSandboxStatus, RemoveContainerRequest, RemovePodSandboxRequest,
    ReopenContainerLogRequest, RunPodSandboxRequest, RuntimeStatus, StartContainerRequest, StatusRequest,
    StopContainerRequest, StopPodSandboxRequest, UserNamespace,
};
use k8s_cri::v1::{ContainerStatusRequest, PodSandboxStatusRequest};
use micrun_host_tests::{containerd, isolation, wait};
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use tonic::Request;
use tonic::metadata::AsciiMetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint, Uri};

/// The runtime handler under test: `MICRUN_SANDBOXER=shim` chooses the one without a pause container, which
/// `containerd-v3.toml` has.
fn handler() -> String {
    match env::var("MICRUN_SANDBOXER").as_deref() {
        Ok("shim") => "mica-shim",
        Ok("podsandbox") | Err(_) => "mica",
        Ok(other) => panic!("MICRUN_SANDBOXER is `podsandbox` or `shim`, not `{other}`"),
    }
    .into()
}

/// How each pod resolves names.
fn dns() -> DnsConfig {
    DnsConfig {
        servers: vec![GATEWAY.into()],
        searches: vec!["default.svc".into(), "svc".into()],
        options: vec!["ndots:5".into()],
    }
}

/// What CRI answers.
pub type Answer<T> = Result<T, tonic::Status>;

/// A label, and an annotation, of every container.
pub const LABEL: (&str, &str) = ("io.kubernetes.container.name", "of a test");

/// The first of the machine's users that a pod with users of its own gets, and how many.
pub const USERS: u32 = 100_000;
/// As [`USERS`] says.
pub const USERS_COUNT: u32 = 65_536;

/// A connection to CRI.
pub struct Cri {
    runtime: Runtime,
    client: RuntimeServiceClient<InterceptedService<Channel, Caller>>,
}

/// Who calls: a client with traces says which span of its own a call is for.
#[derive(Clone, Default)]
struct Caller(Option<AsciiMetadataValue>);

impl Interceptor for Caller {
    fn call(&mut self, mut request: Request<()>) -> Answer<Request<()>> {
        if let Some(span) = &self.0 {
            request.metadata_mut().insert("traceparent", span.clone());
        }
        Ok(request)
    }
}

/// A running pod.
pub struct Pod {
    /// CRI's id.
    pub id: String,
    config: PodSandboxConfig,
}

impl Cri {
    /// Connects to the test's containerd.
    pub(crate) fn connect() -> Self {
        Self::connect_as(Caller::default())
    }

    /// Another connection, whose calls are for the span that this `traceparent` names.
    pub fn for_span(traceparent: &str) -> Self {
        Self::connect_as(Caller(Some(traceparent.parse().expect("it is ASCII"))))
    }

    fn connect_as(caller: Caller) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("it starts");
        let connector = tower::service_fn(|_: Uri| async {
            UnixStream::connect(containerd::SOCKET).await.map(TokioIo::new)
        });
        // The name is not used: there is one socket.
        let endpoint = Endpoint::from_static("http://containerd");
        let channel = runtime.block_on(endpoint.connect_with_connector(connector)).expect("containerd runs");
        Self { runtime, client: RuntimeServiceClient::with_interceptor(channel, caller) }
    }

    /// Whether runtime and network are ready.
    pub(crate) fn is_ready(&self) -> bool {
        let mut client = self.client.clone();
        let answer = self.runtime.block_on(client.status(StatusRequest::default()));
        let status = answer.ok().and_then(|answer| answer.into_inner().status);
        // containerd 2.x has further ones, as that nothing deprecated is in use.
        let ready = |status: &RuntimeStatus, kind| {
            status.conditions.iter().any(|condition| condition.r#type == kind && condition.status)
        };
        status.is_some_and(|status| ["RuntimeReady", "NetworkReady"].iter().all(|kind| ready(&status, *kind)))
    }

    /// Runs a pod's sandbox.
    #[track_caller]
    pub fn run_pod(&self, name: &str) -> Pod {
        self.try_run_pod(name).expect("the pod runs")
    }

    /// The same, if it can be.
    pub fn try_run_pod(&self, name: &str) -> Answer<Pod> {
        self.try_run_pod_with(name, LinuxSandboxSecurityContext::default())
    }

    /// The same for a pod whose users are its own, as `hostUsers: false` asks for: these are [`USERS`].
    pub fn try_run_pod_of_its_own_users(&self, name: &str) -> Answer<Pod> {
        let map = vec![IdMapping { host_id: USERS, container_id: 0, length: USERS_COUNT }];
        let users = UserNamespace { mode: NamespaceMode::Pod.into(), uids: map.clone(), gids: map };
        let namespaces = NamespaceOption {
            pid: NamespaceMode::Container.into(),
            userns_options: Some(users),
            ..NamespaceOption::default()
        };
        let security = LinuxSandboxSecurityContext {
            namespace_options: Some(namespaces),
            ..LinuxSandboxSecurityContext::default()
        };
        self.try_run_pod_with(name, security)
    }

    /// The same for a pod in the machine's network, as `hostNetwork: true` asks for.
    pub fn try_run_pod_in_the_machines_network(&self, name: &str) -> Answer<Pod> {
        let namespaces = NamespaceOption {
            network: NamespaceMode::Node.into(),
            pid: NamespaceMode::Container.into(),
            ..NamespaceOption::default()
        };
        let security = LinuxSandboxSecurityContext {
            namespace_options: Some(namespaces),
            ..LinuxSandboxSecurityContext::default()
        };
        self.try_run_pod_with(name, security)
    }

    fn try_run_pod_with(&self, name: &str, security: LinuxSandboxSecurityContext) -> Answer<Pod> {
        let logs = isolation::state_dir().join("logs").join(name);
        fs::create_dir_all(&logs).expect("/run is private and writable");
        let metadata = PodSandboxMetadata {
            name: name.into(),
            uid: format!("uid-{name}"),
            namespace: "default".into(),
            attempt: 0,
        };
        let linux = LinuxPodSandboxConfig {
            cgroup_parent: format!("/{}", isolation::containerd_namespace()),
            security_context: Some(security),
            ..LinuxPodSandboxConfig::default()
        };
        // The kubelet names no host where the machine's name is the pod's.
        let namespaces = linux.security_context.as_ref().and_then(|it| it.namespace_options.as_ref());
        let of_machine = namespaces.is_some_and(|it| it.network() == NamespaceMode::Node);
        let config = PodSandboxConfig {
            metadata: Some(metadata),
            hostname: if of_machine { String::new() } else { name.into() },
            log_directory: logs.display().to_string(),
            dns_config: Some(dns()),
            linux: Some(linux),
            ..PodSandboxConfig::default()
        };
        let request = RunPodSandboxRequest { config: Some(config.clone()), runtime_handler: handler() };
        let mut client = self.client.clone();
        let answer = self.runtime.block_on(client.run_pod_sandbox(request))?;
        Ok(Pod { id: answer.into_inner().pod_sandbox_id, config })
    }

    /// What CRI says of a pod.
    #[track_caller]
    pub fn pod_status(&self, pod: &Pod) -> PodSandboxStatus {
        let mut client = self.client.clone();
        let request = PodSandboxStatusRequest { pod_sandbox_id: pod.id.clone(), verbose: false };
        let answer = self.runtime.block_on(client.pod_sandbox_status(request));
        answer.expect("the pod is known").into_inner().status.expect("it has a status")
    }

    /// Starts a container in a pod; gives its id. `volume` is a folder that appears as `/volume`.
    #[track_caller]
    pub fn start(
        &self,
        pod: &Pod,
        name: &str,
        image: &str,
        command: &[&str],
        volume: Option<&str>,
    ) -> String {
        self.try_start(pod, name, image, command, volume, false).expect("it starts")
    }

    /// Starts a container that has a terminal; gives its id.
    #[track_caller]
    pub fn start_on_a_terminal(&self, pod: &Pod, name: &str, image: &str, command: &[&str]) -> String {
        self.try_start(pod, name, image, command, None, true).expect("it starts")
    }

    /// Starts a container, if it can be.
    pub fn try_start(
        &self,
        pod: &Pod,
        name: &str,
        image: &str,
        command: &[&str],
        volume: Option<&str>,
        tty: bool,
    ) -> Answer<String> {
        let volume = volume.map(|folder| (folder, "/volume"));
        let mut config = Self::container(pod, (name, 0), image, command, volume.as_slice());
        config.tty = tty;
        self.try_start_of(pod, config)
    }

    /// What the kubelet asks for: the container with this name and the number of the attempt, which sees folders and files
    /// of the machine at paths of its own.
    pub fn container(
        pod: &Pod,
        (name, attempt): (&str, u32),
        image: &str,
        command: &[&str],
        volumes: &[(&str, &str)],
    ) -> ContainerConfig {
        let mount = |(host, container): &(&str, &str)| Mount {
            host_path: (*host).into(),
            container_path: (*container).into(),
            readonly: true,
            ..Mount::default()
        };
        ContainerConfig {
            metadata: Some(ContainerMetadata { name: name.into(), attempt }),
            image: Some(ImageSpec {
                image: image.into(),
                annotations: HashMap::new(),
                ..ImageSpec::default()
            }),
            command: command.iter().map(ToString::to_string).collect(),
            mounts: volumes.iter().map(mount).collect(),
            log_path: format!("{name}.log"),
            stdin: true,
            labels: HashMap::from([(LABEL.0.into(), LABEL.1.into())]),
            annotations: HashMap::from([(LABEL.0.into(), LABEL.1.into())]),
            linux: Some(LinuxContainerConfig {
                security_context: Some(LinuxContainerSecurityContext {
                    namespace_options: pod.namespaces(),
                    ..LinuxContainerSecurityContext::default()
                }),
                ..LinuxContainerConfig::default()
            }),
            ..ContainerConfig::default()
        }
    }

    /// Starts the container that is asked for, if it can be; gives its id.
    pub fn try_start_of(&self, pod: &Pod, config: ContainerConfig) -> Answer<String> {
        let request = CreateContainerRequest {
            pod_sandbox_id: pod.id.clone(),
            config: Some(config),
            sandbox_config: Some(pod.config.clone()),
        };
        let mut client = self.client.clone();
        self.runtime.block_on(async {
            let container_id = client.create_container(request).await?.into_inner().container_id;
            let request = StartContainerRequest { container_id: container_id.clone() };
            client.start_container(request).await?;
            Ok(container_id)
        })
    }

    /// Runs a command in a container to its end.
    #[track_caller]
    pub fn exec(&self, id: &str, command: &[&str]) -> ExecSyncResponse {
        self.try_exec(id, command).expect("it runs")
    }

    /// The same, if it can be.
    pub fn try_exec(&self, id: &str, command: &[&str]) -> Answer<ExecSyncResponse> {
        let cmd = command.iter().map(ToString::to_string).collect();
        let request = ExecSyncRequest { container_id: id.into(), cmd, timeout: 20 };
        let mut client = self.client.clone();
        Ok(self.runtime.block_on(client.exec_sync(request))?.into_inner())
    }

    /// Attaches to a container: `crictl attach --stdin`, with a terminal if it has one.
    #[track_caller]
    pub fn attach(&self, id: &str, tty: bool) -> Stream {
        let request = AttachRequest { container_id: id.into(), stdin: true, tty, stdout: true, stderr: !tty };
        let mut client = self.client.clone();
        let answer = self.runtime.block_on(client.attach(request)).expect("it can be attached to");
        Stream::open(&answer.into_inner().url)
    }

    /// Runs a command in a container, to talk with: `crictl exec --stdin`.
    #[track_caller]
    pub fn exec_stream(&self, id: &str, command: &[&str], tty: bool) -> Stream {
        let cmd = command.iter().map(ToString::to_string).collect();
        let request =
            ExecRequest { container_id: id.into(), cmd, tty, stdin: true, stdout: true, stderr: !tty };
        let mut client = self.client.clone();
        let answer = self.runtime.block_on(client.exec(request)).expect("it can be run");
        Stream::open(&answer.into_inner().url)
    }

    /// What CRI says of a container.
    #[track_caller]
    pub fn status(&self, id: &str) -> ContainerStatus {
        let request = ContainerStatusRequest { container_id: id.into(), verbose: false };
        let mut client = self.client.clone();
        let answer = self.runtime.block_on(client.container_status(request));
        answer.expect("the container is known").into_inner().status.expect("it has a status")
    }

    /// Microseconds of a CPU that a container has used, and the bytes of its working set.
    #[track_caller]
    pub fn usage(&self, id: &str) -> (u64, u64) {
        let request = ContainerStatsRequest { container_id: id.into() };
        let mut client = self.client.clone();
        let answer =
            self.runtime.block_on(client.container_stats(request)).expect("it is measured").into_inner();
        let stats = answer.stats.expect("there is an answer");
        let cpu = stats.cpu.and_then(|cpu| cpu.usage_core_nano_seconds).expect("CPU time is measured");
        let memory = stats.memory.and_then(|memory| memory.working_set_bytes).expect("memory is measured");
        (cpu.value / 1000, memory.value)
    }

    /// Stops a container: SIGTERM, and SIGKILL after so many seconds. Gives its exit code.
    #[track_caller]
    pub fn stop(&self, id: &str, seconds: i64) -> i32 {
        self.try_stop(id, seconds).expect("it stops");
        self.status(id).exit_code
    }

    /// The same, if it can be.
    pub fn try_stop(&self, id: &str, seconds: i64) -> Answer<()> {
        let request = StopContainerRequest { container_id: id.into(), timeout: seconds };
        let mut client = self.client.clone();
        self.runtime.block_on(client.stop_container(request)).map(drop)
    }

    /// Has containerd write a container's log to a new file: the kubelet has moved the old one away.
    #[track_caller]
    pub fn reopen_log(&self, id: &str) {
        let request = ReopenContainerLogRequest { container_id: id.into() };
        let mut client = self.client.clone();
        self.runtime.block_on(client.reopen_container_log(request)).expect("the log is opened again");
    }

    /// Waits until a container has ended; gives what CRI says of it.
    #[track_caller]
    pub fn ended(&self, id: &str) -> ContainerStatus {
        wait::until("the container has ended", || {
            Some(self.status(id)).filter(|status| status.state() == ContainerState::ContainerExited)
        })
    }

    /// Removes a container.
    #[track_caller]
    pub fn remove(&self, id: &str) {
        let request = RemoveContainerRequest { container_id: id.into() };
        let mut client = self.client.clone();
        self.runtime.block_on(client.remove_container(request)).expect("it is removed");
    }

    /// Stops a pod with all that is in it.
    #[track_caller]
    pub fn stop_pod(&self, pod: &Pod) {
        let request = StopPodSandboxRequest { pod_sandbox_id: pod.id.clone() };
        let mut client = self.client.clone();
        self.runtime.block_on(client.stop_pod_sandbox(request)).expect("the pod stops");
    }

    /// Stops and removes a pod with all that is in it.
    #[track_caller]
    pub fn remove_pod(&self, pod: &Pod) {
        self.try_remove_pod(&pod.id).expect("the pod is removed");
    }

    /// The same, if it can be.
    pub fn try_remove_pod(&self, id: &str) -> Answer<()> {
        let mut client = self.client.clone();
        self.runtime.block_on(async {
            client.stop_pod_sandbox(StopPodSandboxRequest { pod_sandbox_id: id.into() }).await?;
            client.remove_pod_sandbox(RemovePodSandboxRequest { pod_sandbox_id: id.into() }).await?;
            Ok(())
        })
    }

    /// The ids of all pods that CRI knows.
    pub fn pods(&self) -> Answer<Vec<String>> {
        let mut client = self.client.clone();
        let answer = self.runtime.block_on(client.list_pod_sandbox(ListPodSandboxRequest::default()))?;
        Ok(answer.into_inner().items.into_iter().map(|pod| pod.id).collect())
    }
}

impl Pod {
    /// What the kubelet tells of the pod's namespaces again with each of its containers.
    fn namespaces(&self) -> Option<NamespaceOption> {
        self.config.linux.as_ref()?.security_context.as_ref()?.namespace_options.clone()
    }

    /// Where a container's log is.
    pub fn log_path(&self, container: &str) -> PathBuf {
        PathBuf::from(&self.config.log_directory).join(format!("{container}.log"))
    }

    /// Waits until a container's log has a text; gives the log, in CRI's format.
    #[track_caller]
    pub fn log_with(&self, container: &str, text: &str) -> String {
        let path = self.log_path(container);
        wait::until(&format!("{text:?} is in the log of {container}"), || {
            fs::read_to_string(&path).ok().filter(|log| log.contains(text))
        })
    }
}
