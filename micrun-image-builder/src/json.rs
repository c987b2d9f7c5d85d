//! Canonical JSON: sorted keys, no white space, the same bytes every time.

use serde::Serialize;

/// The canonical bytes of a document.
///
/// oci-spec keeps annotations and labels in hash maps, whose order differs from run to run. Sorted explicitly,
/// because any crate of the build may switch `serde_json/preserve_order` on.
pub(crate) fn canonical(document: &impl Serialize) -> Vec<u8> {
    #[expect(clippy::expect_used, reason = "the documents have string keys and no failing serialisers")]
    let mut value = serde_json::to_value(document).expect("a serialisable document");
    value.sort_all_objects();
    value.to_string().into_bytes()
}
