//! Numbers as people read them.

use pipeline_tests::grouped;

use super::measured::Rate;

/// A number of a point: `size` is in octets.
pub(crate) fn value(name: &str, value: u64) -> String {
    if name == "size" { octets(value) } else { grouped(value) }
}

/// Octets in the largest unit that leaves a whole number.
pub(crate) fn octets(octets: u64) -> String {
    for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if octets >> shift > 0 && octets.is_multiple_of(1 << shift) {
            return format!("{} {unit}", octets >> shift);
        }
    }
    format!("{} octets", grouped(octets))
}

/// A figure with three digits that count, or all of its whole ones.
pub(crate) fn figure(figure: f64) -> String {
    if figure >= 99.95 {
        #[expect(clippy::cast_sign_loss, reason = "it is positive")]
        return grouped(figure.round() as u64);
    }
    let digits = match figure.abs() {
        many if many >= 9.995 => 1,
        some if some >= 0.995 => 2,
        _ => 3,
    };
    format!("{figure:.digits$}")
}

/// A rate: of octets as megabytes.
pub(crate) fn rate(what: &str, per_second: f64) -> String {
    if what == "octets" { format!("{} MB", figure(per_second / 1e6)) } else { figure(per_second) }
}

/// A rate, with what it is of.
pub(crate) fn rate_of(rate: &Rate) -> String {
    let amount = self::rate(&rate.what, rate.per_second);
    if rate.what == "octets" { format!("{amount}/s") } else { format!("{amount} {}/s", rate.what) }
}

/// How many times one figure is another.
pub(crate) fn times(ratio: f64) -> String {
    format!("{} ×", figure(ratio))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_the_unit_that_leaves_a_whole_number() {
        let sizes = [(4096, "4 KiB"), (10 << 20, "10 MiB"), (4097, "4,097 octets"), (0, "0 octets")];
        for (size, told) in sizes {
            assert_eq!(value("size", size), told);
        }
        assert_eq!(value("sessions", 1000), "1,000");
    }

    #[test]
    fn figures_have_as_many_digits_as_count() {
        let figures =
            [(12_345.6, "12,346"), (99.95, "100"), (99.9, "99.9"), (1.234, "1.23"), (0.0612, "0.061")];
        for (number, told) in figures {
            assert_eq!(figure(number), told);
        }
        assert_eq!(rate("octets", 12_340_000.0), "12.3 MB");
        assert_eq!(times(10.25), "10.2 ×");
    }
}
