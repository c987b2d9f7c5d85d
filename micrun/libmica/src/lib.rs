//! The mica protocol.
