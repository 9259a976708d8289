//! What benchmarks store.

use bytes::Bytes;
use fastrand::Rng;

/// The smallest and the largest message, in octets.
const SIZES: (f64, f64) = (512.0, 1_048_576.0);

/// So many messages of sizes as mail has them: log-normal around a median of 12 KiB. The same in every run.
pub fn messages(count: usize) -> Vec<Bytes> {
    let mut random = Rng::with_seed(12);
    let noise: Bytes = std::iter::repeat_with(|| random.u8(32..127)).take(2 << 20).collect();
    std::iter::repeat_with(|| {
        let (start, size) = (random.usize(..1 << 20), size(&mut random));
        noise.slice(start..start + size)
    })
    .take(count)
    .collect()
}

#[expect(clippy::cast_sign_loss, reason = "clamped")]
fn size(random: &mut Rng) -> usize {
    // The sum of twelve uniform numbers is as good as normal.
    let normal: f64 = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
    (12_288.0 * (0.75 * normal).exp()).clamp(SIZES.0, SIZES.1) as usize
}
