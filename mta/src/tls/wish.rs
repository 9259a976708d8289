//! What the sender of a message asks of TLS (RFC 8689).

use message::header;
use proto::mail::Envelope;

/// The protocol by which TLS reports come that are made here. No other message has it: to be sent on from here, as mail to
/// a list is, makes none a report.
pub(super) const ORIGIN: &str = "tls-report";

/// What the sender asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Nothing: the route and the recipient's domain decide.
    #[default]
    Default,
    /// REQUIRETLS: TLS with a host that is known for certain to be the recipient's, and that promises the same.
    Required,
    /// `TLS-Required: No`: to arrive is more important than to be protected. Policies of the recipient's domain are
    /// followed where they can be; the operator's route still holds.
    Optional,
    /// A TLS report of this node: like [`Optional`](Self::Optional), and itself never reported on (RFC 8460 §3).
    OwnReport,
}

impl Wish {
    /// What the envelope says. A delivery status notification about a REQUIRETLS message goes without protection rather
    /// than get lost (RFC 8689 §5).
    pub(crate) fn of(envelope: &Envelope) -> Self {
        let is_notification = envelope.reverse_path.is_empty();
        let is_report = envelope.origin.as_ref().is_some_and(|origin| origin.protocol == ORIGIN);
        match (envelope.require_tls, is_report) {
            _ if is_notification => Self::Default,
            (true, _) => Self::Required,
            (false, true) => Self::OwnReport,
            (false, false) => Self::Default,
        }
    }

    /// Whether nothing may fail for want of TLS.
    pub(crate) fn is_optional(self) -> bool {
        matches!(self, Self::Optional | Self::OwnReport)
    }
}

/// Whether a header block holds `TLS-Required: No` (RFC 8689 §3). Only for messages without REQUIRETLS, which goes before
/// the field.
pub(crate) fn has_opted_out(header: &[u8]) -> bool {
    header::first(header, "TLS-Required")
        .is_some_and(|value| header::unfold(value).trim_ascii().eq_ignore_ascii_case(b"no"))
}

#[cfg(test)]
mod tests {
    use proto::mail::Origin;

    use super::*;

    #[test]
    fn the_field_says_no_or_nothing() {
        assert!(has_opted_out(b"From: a@b.test\r\ntls-required:\r\n No \r\n\r\n"));
        assert!(!has_opted_out(b"TLS-Required: yes\r\n\r\n"));
        assert!(!has_opted_out(b"From: a@b.test\r\n\r\nTLS-Required: No\r\n"));
    }

    #[test]
    fn a_report_is_not_lost_for_the_want_of_tls() {
        let envelope = |reverse_path: &str| Envelope {
            require_tls: true,
            reverse_path: reverse_path.into(),
            ..Envelope::default()
        };
        assert_eq!(Wish::of(&envelope("alice@example.test")), Wish::Required);
        assert_eq!(Wish::of(&envelope("")), Wish::Default);
    }

    #[test]
    fn a_report_is_known_by_its_origin() {
        let envelope = |protocol: &str| Envelope {
            reverse_path: "tls-reports@example.test".into(),
            origin: Some(Origin { protocol: protocol.into(), ..Origin::default() }),
            ..Envelope::default()
        };
        assert_eq!(Wish::of(&envelope(ORIGIN)), Wish::OwnReport);
        for protocol in ["local", "ESMTPS", ""] {
            assert_eq!(Wish::of(&envelope(protocol)), Wish::Default);
        }
    }
}
