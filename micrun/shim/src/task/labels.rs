//! What log lines say of a container beside its id: what its caller has said of it at Create.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::os::lock::lock;

/// A name of a line's field, and its value.
type Label = (&'static str, String);

/// The names of a pod's namespace and of the pod, and that of an image: CRI's, then CRI-O's.
const POD: [[&str; 2]; 2] = [
    ["io.kubernetes.cri.sandbox-namespace", "io.kubernetes.cri.sandbox-name"],
    ["io.kubernetes.pod.namespace", "io.kubernetes.pod.name"],
];
const IMAGE: [&str; 2] = ["io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName"];

/// The containers of this process that have labels.
static KNOWN: Mutex<BTreeMap<String, Vec<Label>>> = Mutex::new(BTreeMap::new());

/// Takes from its annotations what lines about a container are to say.
pub(crate) fn introduce(container: &str, annotations: &BTreeMap<String, String>) {
    let pod = POD.iter().find_map(|[namespace, name]| {
        Some(("pod", format!("{}/{}", annotations.get(*namespace)?, annotations.get(*name)?)))
    });
    let image = IMAGE.iter().find_map(|key| Some(("image", annotations.get(*key)?.clone())));
    let labels: Vec<_> = pod.into_iter().chain(image).collect();
    if !labels.is_empty() {
        lock(&KNOWN).insert(container.to_owned(), labels);
    }
}

/// Says nothing more of a container that is no more.
pub(crate) fn forget(container: &str) {
    lock(&KNOWN).remove(container);
}

/// What to say of it.
pub(crate) fn of(container: &str) -> Vec<Label> {
    lock(&KNOWN).get(container).cloned().unwrap_or_default()
}
