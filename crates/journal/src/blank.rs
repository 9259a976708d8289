//! Finding where zeros end: reserved space reads as zeros, and there may be much of it.

/// Compared whole, which is far faster than byte by byte.
const BLOCK: usize = 4 << 10;
const ZEROS: [u8; BLOCK] = [0; BLOCK];

/// How many zeros `bytes` begin with.
pub(crate) fn leading_zeros(bytes: &[u8]) -> usize {
    let blocks = bytes.chunks(BLOCK).take_while(|block| **block == ZEROS[..block.len()]).count();
    let blank = (blocks * BLOCK).min(bytes.len());
    blank + bytes[blank..].iter().take_while(|&&byte| byte == 0).count()
}

/// Where the last byte that is not zero stands.
pub(crate) fn last_data(bytes: &[u8]) -> Option<usize> {
    let blank: usize =
        bytes.rchunks(BLOCK).take_while(|block| **block == ZEROS[..block.len()]).map(<[u8]>::len).sum();
    bytes[..bytes.len() - blank].iter().rposition(|&byte| byte != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_zeros_are_found_in_and_across_blocks() {
        for length in [0, 1, 4095, 4096, 4097, 10_000] {
            assert_eq!((leading_zeros(&vec![0; length]), last_data(&vec![0; length])), (length, None));
            for at in [0, 1, 4095, 4096, 4097, 9_999].into_iter().filter(|&at| at < length) {
                let mut bytes = vec![0; length];
                bytes[at] = 1;
                assert_eq!((leading_zeros(&bytes), last_data(&bytes)), (at, Some(at)));
            }
        }
    }
}
