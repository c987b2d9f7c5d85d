//! Several containers in one shim.

use crate::case::both;
use crate::container::Container;
use crate::stage::GROUP;
use crate::subject::Program;
use crate::{Case, Stage};

pub(super) const CASES: &[Case] = &[
    both!(readme_group_label_shares_a_shim),
    both!(readme_cri_sandbox_id_shares_a_shim),
    both!(readme_other_containers_do_not_share_a_shim),
    both!(containerd_2_4_shutdown_after_each_task_spares_the_others),
];

fn member<'a>(stage: &'a Stage, id: &str, annotation: &str) -> Container<'a> {
    stage.create_of(id, Program::Shell, &[(annotation, "pod")])
}

/// containerd-shim-runc-v2, `groupLabels`: containers of a group have one shim.
fn readme_group_label_shares_a_shim(stage: &mut Stage) {
    let [one, two] = ["one", "two"].map(|id| member(stage, id, GROUP));
    assert_eq!(one.shim.reply.address, two.shim.reply.address);
    two.start();
    two.assert_answers("second");
    two.end();
    one.start();
    one.assert_answers("first");
}

/// The CRI plugin names the pod in `io.kubernetes.cri.sandbox-id`.
fn readme_cri_sandbox_id_shares_a_shim(stage: &mut Stage) {
    let [one, two] = ["one", "two"].map(|id| member(stage, id, "io.kubernetes.cri.sandbox-id"));
    assert_eq!(one.shim.reply.address, two.shim.reply.address);
}

/// Without a group each container has a shim of its own, so that one's death is not another's.
fn readme_other_containers_do_not_share_a_shim(stage: &mut Stage) {
    let [one, two] = ["one", "two"].map(|id| stage.create(id));
    assert_ne!(one.shim.reply.address, two.shim.reply.address);
    assert_ne!(one.shim.pid(), two.shim.pid());
}

/// containerd 2.4 (402eb3166) sends Shutdown after every task it deletes, also to a shim with others left.
fn containerd_2_4_shutdown_after_each_task_spares_the_others(stage: &mut Stage) {
    let [one, two] = ["one", "two"].map(|id| member(stage, id, GROUP));
    two.start();
    one.delete();
    one.task.shutdown("one").unwrap();
    two.assert_answers("alive");
    one.assert_unknown();
}
