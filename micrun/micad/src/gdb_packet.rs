//! The packets of gdb's remote protocol (GDB manual, appendix "GDB Remote Serial Protocol"), for either end.

/// Longest packet that is accepted, in bytes: `m` and `M` of a page in hexadecimal fit.
pub(crate) const LONGEST: usize = 0x4000;
/// What gdb sends outside of packets to stop the target.
const INTERRUPT: u8 = 0x03;

/// What the other end has sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// A packet whose checksum is right.
    Packet(String),
    /// A packet that is damaged or too long: it is to be sent again.
    Damaged,
    /// The user wants the target to stop.
    Interrupt,
}

/// Finds messages in the bytes that come.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    packet: Option<Vec<u8>>,
}

impl Parser {
    /// Takes one byte; gives the message that ends with it.
    pub(crate) fn take(&mut self, byte: u8) -> Option<Message> {
        match (&mut self.packet, byte) {
            (packet, b'$') => {
                *packet = Some(Vec::new());
                None
            }
            (None, INTERRUPT) => Some(Message::Interrupt),
            (None, _) => None,
            (Some(packet), byte) => {
                packet.push(byte);
                let end = packet.len().checked_sub(3).filter(|end| packet[*end] == b'#');
                if end.is_none() && packet.len() <= LONGEST {
                    return None;
                }
                let packet = self.packet.take()?;
                Some(end.and_then(|end| checked(&packet, end)).map_or(Message::Damaged, Message::Packet))
            }
        }
    }
}

/// The text before `#`, if the two digits behind it are its sum.
fn checked(packet: &[u8], end: usize) -> Option<String> {
    let (text, sum) = (&packet[..end], std::str::from_utf8(&packet[end + 1..]).ok()?);
    let [sum] = unhex(sum)?[..] else { return None };
    (sum == checksum(text)).then(|| String::from_utf8(text.to_vec()).ok())?
}

fn checksum(text: &[u8]) -> u8 {
    text.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// A packet around `text`, which has no character that would have to be escaped.
pub(crate) fn packet(text: &str) -> String {
    format!("${text}#{:02x}", checksum(text.as_bytes()))
}

/// The bytes that the text stands for.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    // A number may have a sign, these may not.
    if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok().filter(|_| pair.len() == 2))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(bytes: &[u8]) -> Vec<Message> {
        let mut parser = Parser::default();
        bytes.iter().filter_map(|byte| parser.take(*byte)).collect()
    }

    #[test]
    fn packets_among_acknowledgements() {
        let sent =
            [b"+".as_slice(), packet("qSupported").as_bytes(), b"+", packet("").as_bytes(), b"\x03"].concat();
        assert_eq!(
            messages(&sent),
            [Message::Packet("qSupported".into()), Message::Packet(String::new()), Message::Interrupt]
        );
    }

    #[test]
    fn damage_is_noticed() {
        assert_eq!(messages(b"$g#00"), [Message::Damaged]);
        assert_eq!(messages(b"$g#6x"), [Message::Damaged]);
        assert_eq!(messages(b"$m1$g#67"), [Message::Packet("g".into())]);
        let long = [b"$".as_slice(), &vec![b'x'; LONGEST + 1], b"$g#67"].concat();
        assert_eq!(messages(&long), [Message::Damaged, Message::Packet("g".into())]);
    }

    #[test]
    fn hexadecimal() {
        assert_eq!(unhex("00ab"), Some(vec![0, 0xab]));
        assert_eq!((unhex("0"), unhex("0g"), unhex("")), (None, None, Some(vec![])));
        assert_eq!((unhex("+a"), messages(b"$0#+0")), (None, vec![Message::Damaged]));
    }
}
