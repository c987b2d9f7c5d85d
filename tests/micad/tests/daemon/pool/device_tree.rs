//! A device tree in the guest's memory (Devicetree Specification, chapter 5).

/// Zeroes the random numbers in the tree at the beginning of `memory`, and what QEMU leaves between words; how many
/// numbers there are.
pub(super) fn forget_seeds(memory: &mut [u8]) -> usize {
    let word = |memory: &[u8], at: usize| {
        usize::try_from(u32::from_be_bytes(memory[at..at + 4].try_into().unwrap())).unwrap()
    };
    assert_eq!(word(memory, 0), 0xd00d_feed);
    let (mut at, strings) = (word(memory, 8), word(memory, 12));
    let mut seeds = 0;
    loop {
        let token = word(memory, at);
        at += 4;
        match token {
            // The beginning of a node, with its name.
            1 => {
                let name = memory[at..].iter().position(|byte| *byte == 0).unwrap();
                at = pad(memory, at + name + 1);
            }
            2 | 4 => {}
            3 => {
                let (size, name) = (word(memory, at), strings + word(memory, at + 4));
                let value = at + 8..at + 8 + size;
                if memory[name..].starts_with(b"kaslr-seed\0") || memory[name..].starts_with(b"rng-seed\0") {
                    memory[value.clone()].fill(0);
                    seeds += 1;
                }
                at = pad(memory, value.end);
            }
            9 => return seeds,
            other => panic!("token {other} in the device tree"),
        }
    }
}

fn pad(memory: &mut [u8], at: usize) -> usize {
    let next = at.next_multiple_of(4);
    memory[at..next].fill(0);
    next
}
