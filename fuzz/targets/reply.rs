//! Replies of a mica daemon, in chunks: the first byte says how long each is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use libmica::{Reply, ReplyParser};

fn parse(bytes: &[u8], chunk: usize) -> Option<Reply> {
    let mut parser = ReplyParser::new();
    bytes.chunks(chunk).find_map(|chunk| parser.push(chunk).expect("it is shorter than the limit"))
}

fuzz_target!(|bytes: &[u8]| {
    let Some((chunk, bytes)) = bytes.split_first() else { return };
    let whole = parse(bytes, bytes.len().max(1));
    assert_eq!(parse(bytes, usize::from(*chunk).max(1)), whole, "however it is cut");
    if let Some(reply) = whole {
        let again = parse(&reply.encode(), 1).expect("what was written can be read");
        assert_eq!(again.outcome, reply.outcome);
        assert_eq!(again.text, reply.text, "a reply's text holds no marker");
    }
});
