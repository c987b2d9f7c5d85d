//! The build attributes: `.ARM.attributes` and `.riscv.attributes`, where compilers write for which
//! processor they have compiled. Hostile as the rest of the file; what cannot be read is not there.

use object::Endianness;
use object::elf::FileHeader32;
use object::read::elf::AttributesSection;

use super::processor::Processor;
use super::{Endian, Family};

/// `Tag_File`: attributes of the whole file.
const FILE: u8 = 1;
/// `Tag_CPU_name`, `Tag_CPU_arch`, `Tag_CPU_arch_profile`, `Tag_compatibility`, `Tag_conformance` of aeabi.
const CPU_NAME: u64 = 5;
const CPU_ARCH: u64 = 6;
const CPU_PROFILE: u64 = 7;
const COMPATIBILITY: u64 = 32;
/// `Tag_CPU_raw_name` of aeabi: below 32 the numbers do not say whether a text follows.
const CPU_RAW_NAME: u64 = 4;
/// `Tag_RISCV_arch`.
const RISCV_ARCH: u64 = 5;
/// Longest name that is kept.
const MAX_NAME: usize = 128;

/// What one attribute says.
enum Value<'a> {
    Number(u64),
    Text(&'a str),
}

/// The processor in the contents of `.ARM.attributes`.
pub(super) fn arm(contents: &[u8], endian: Endian) -> Option<Processor> {
    let (mut version, mut profile, mut name) = (None, None, None);
    let is_text = |tag| matches!(tag, CPU_RAW_NAME | CPU_NAME) || tag > COMPATIBILITY && tag % 2 == 1;
    each(contents, endian, b"aeabi", is_text, |tag, value| match (tag, value) {
        (CPU_ARCH, Value::Number(number)) => version = u8::try_from(number).ok(),
        (CPU_PROFILE, Value::Number(letter)) => profile = u8::try_from(letter).ok(),
        (CPU_NAME, Value::Text(text)) => name = Some(text.to_owned()),
        _ => {}
    })?;
    (version.is_some() || profile.is_some()).then(|| Processor::from_aeabi(version, profile, name.as_deref()))
}

/// The extensions in the contents of `.riscv.attributes`: `rv32i2p1_m2p0_c2p0`.
pub(super) fn riscv(contents: &[u8], family: Family) -> Option<Processor> {
    let mut model = None;
    each(
        contents,
        Endian::Little,
        b"riscv",
        |tag| tag % 2 == 1,
        |tag, value| {
            if let (RISCV_ARCH, Value::Text(text)) = (tag, value) {
                model = Some(text.to_lowercase());
            }
        },
    )?;
    model
        .filter(|text| text.starts_with("rv"))
        .map(|text| Processor { model: Some(text), ..Processor::new(family) })
}

/// Gives every attribute of the whole file that `vendor` has defined. `None` once something is damaged: tags
/// are only as far known as everything before them.
fn each(
    contents: &[u8],
    endian: Endian,
    vendor: &[u8],
    is_text: impl Fn(u64) -> bool,
    mut take: impl FnMut(u64, Value<'_>),
) -> Option<()> {
    let endian = if endian == Endian::Little { Endianness::Little } else { Endianness::Big };
    // The class of the header has no influence on attributes.
    let section = AttributesSection::<FileHeader32<Endianness>>::new(endian, contents).ok()?;
    let mut subsections = section.subsections().ok()?;
    while let Some(subsection) = subsections.next().ok()? {
        if subsection.vendor() != vendor {
            continue;
        }
        let mut parts = subsection.subsubsections();
        while let Some(part) = parts.next().ok()? {
            if part.tag().0 != FILE {
                continue;
            }
            let mut attributes = part.attributes();
            while let Some(tag) = attributes.read_tag().ok()? {
                if vendor == b"aeabi" && tag == COMPATIBILITY {
                    // A number and a text.
                    attributes.read_integer().ok()?;
                    attributes.read_string().ok()?;
                } else if is_text(tag) {
                    let text = std::str::from_utf8(attributes.read_string().ok()?).ok()?;
                    let clean = text.len() <= MAX_NAME && text.bytes().all(|byte| byte.is_ascii_graphic());
                    if clean {
                        take(tag, Value::Text(text));
                    }
                } else {
                    take(tag, Value::Number(attributes.read_integer().ok()?));
                }
            }
        }
    }
    Some(())
}
