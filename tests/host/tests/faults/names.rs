//! Ids of every length that containerd lets pass.

use micrun_host_tests::Fault;
use micrun_host_tests::containerd::ctr;
use micrun_host_tests::host::{DEMO, MICA};

use crate::engine::{Engine, end, host};

/// The mica protocol has 65 bytes for a client's name; crun's limit is that of a file name.
#[test]
fn an_id_of_66_bytes() {
    let host = host();
    Fault::try_times("id of 66 bytes, between ids of 65", 5, |_| {
        let (fits, longer) = ("i".repeat(65), "i".repeat(66));
        Engine::Rtos.run(&fits, &[]);
        let refusal = ctr(&["run", "--detach", "--runtime", MICA, DEMO, &longer]).failure();
        assert!(refusal.contains("exceeds mica limit") && refusal.contains("at most 65"), "{refusal}");
        host.delete_container(&longer);
        Engine::Linux.run(&longer, &[]);
        Engine::Linux.assert_answers(&longer);
        Engine::Rtos.assert_answers(&fits);
        end(&host, &longer);
        end(&host, &fits);
        host.assert_clean();
    });
}
