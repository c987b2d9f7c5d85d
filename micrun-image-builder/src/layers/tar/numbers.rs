//! Numbers in headers.

use std::io;

use super::super::malformed;
use super::until_nul;

/// Octal digits, or with the highest bit of the first byte set, two's complement.
pub(super) fn numeric(field: &[u8]) -> io::Result<i64> {
    let Some(first) = field.first().filter(|first| **first & 0x80 != 0) else { return octal(field) };
    let inverted = if first & 0x40 == 0 { 0 } else { 0xff };
    let mut value: u64 = 0;
    for (at, byte) in field.iter().enumerate() {
        let byte = (byte ^ inverted) & if at == 0 { 0x7f } else { 0xff };
        if value >> 56 != 0 {
            return Err(not_a_number());
        }
        value = value << 8 | u64::from(byte);
    }
    let value = i64::try_from(value).map_err(|_| not_a_number())?;
    Ok(if inverted == 0 { value } else { !value })
}

/// Octal digits between blanks and zero bytes. None is 0.
pub(super) fn octal(field: &[u8]) -> io::Result<i64> {
    let blank = |byte: &u8| matches!(byte, b' ' | 0);
    let from = field.iter().position(|byte| !blank(byte)).unwrap_or(field.len());
    let to = field.iter().rposition(|byte| !blank(byte)).map_or(from, |at| at + 1);
    let digits = until_nul(&field[from..to]);
    if from == to {
        return Ok(0);
    }
    if digits.is_empty() || !digits.iter().all(|byte| matches!(byte, b'0'..=b'7')) {
        return Err(not_a_number());
    }
    let value = digits.iter().try_fold(0_u64, |value, digit| {
        value.checked_mul(8).and_then(|value| value.checked_add(u64::from(digit - b'0')))
    });
    value.map(u64::cast_signed).ok_or_else(not_a_number)
}

/// Decimal digits with or without a sign.
pub(super) fn decimal(text: &[u8]) -> io::Result<i64> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or_else(not_a_number)
}

fn not_a_number() -> io::Error {
    malformed("a header of its tar has a field that is no number")
}
