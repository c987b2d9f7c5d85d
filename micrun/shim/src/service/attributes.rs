//! What spans say of containers, by OpenTelemetry's conventions where there are some.

use std::collections::BTreeMap;

use crate::oci::bundle::Spec;

/// Annotations of CRI's that a convention has a name for.
const OF_CRI: [(&str, &str); 6] = [
    ("io.kubernetes.cri.container-name", "k8s.container.name"),
    ("io.kubernetes.cri.image-name", "container.image.name"),
    ("io.kubernetes.cri.sandbox-id", "micrun.sandbox.id"),
    ("io.kubernetes.cri.sandbox-name", "k8s.pod.name"),
    ("io.kubernetes.cri.sandbox-namespace", "k8s.namespace.name"),
    ("io.kubernetes.cri.sandbox-uid", "k8s.pod.uid"),
];

/// Notes which process the rpc is about; an empty `exec_id` is the container's own.
pub(crate) fn process(id: &str, exec_id: &str) {
    micrun_trace::note("container.id", id);
    if !exec_id.is_empty() {
        micrun_trace::note("micrun.exec.id", exec_id);
    }
}

/// Notes what the specification says of the container.
pub(crate) fn specification(spec: &Spec, is_firmware: bool) {
    if !micrun_trace::is_on() {
        return;
    }
    for (attribute, value) in of_cri(&spec.annotations) {
        micrun_trace::note(attribute, value);
    }
    let engine = if is_firmware { "rtos" } else { "linux" };
    micrun_trace::note("micrun.engine", engine);
}

fn of_cri(annotations: &BTreeMap<String, String>) -> impl Iterator<Item = (&'static str, &str)> {
    OF_CRI.into_iter().filter_map(|(key, attribute)| Some((attribute, annotations.get(key)?.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cri_says_has_the_names_of_the_conventions() {
        let annotations = [("io.kubernetes.cri.sandbox-name", "motor-0"), ("other", "x")];
        let annotations = annotations.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        assert_eq!(of_cri(&annotations).collect::<Vec<_>>(), [("k8s.pod.name", "motor-0")]);
    }
}
