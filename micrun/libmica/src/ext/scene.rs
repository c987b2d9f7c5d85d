//! What is known of the processor at the end of a run.

use serde::{Deserialize, Serialize};

/// Where the firmware's first processor was when its run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scene {
    /// Where it was. Of firmware that has ended by itself, this is where it powers its machine off.
    pub at: Site,
    /// Where its last exception came from, if the processor keeps that: of a fault, the instruction at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trap: Option<Site>,
    /// All registers, in the words of whatever has told them.
    pub registers: String,
}

/// A place in firmware.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// The address: `0x` and hexadecimal digits, which no reader of JSON rounds.
    pub pc: String,
    /// Where that is, for people: `in FUNCTION+OFFSET`.
    pub place: String,
}
