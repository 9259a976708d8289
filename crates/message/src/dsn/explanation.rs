//! Status codes (RFC 3463) in words for people who do not know what mail is made of.

use super::Action;

/// What the status code most likely means to the sender.
pub(super) fn explanation(status: &str, action: Action) -> Option<&'static str> {
    let (_, subject_and_detail) = status.split_once('.')?;
    if action == Action::Delayed && subject_and_detail.starts_with("7.") {
        // Greylisting mostly.
        return Some(
            "The recipient's mail system does not take the message just now. That is often a measure against unwanted \
             mail, and passes.",
        );
    }
    Some(match subject_and_detail {
        "1.0" | "1.1" | "1.6" => "There is no such mailbox. Please check the address for typing errors.",
        "1.2" => "The part of the address behind the @ does not exist. Please check it for typing errors.",
        "1.3" => "This is not a valid address. Please check it for typing errors.",
        "1.10" | "7.27" => "The part of the address behind the @ takes no mail at all.",
        "1.7" | "1.8" | "7.23" | "7.25" | "7.26" => {
            "The recipient's mail system does not trust the sender's address."
        }
        "2.1" => "The mailbox is disabled and takes no mail.",
        "2.2" => "The mailbox is full. Please tell the recipient in some other way, or try again later.",
        "2.3" | "3.4" => {
            "The message is too large for the recipient. Please send less, or in several messages."
        }
        "3.1" => "The recipient's mail system has no room left.",
        "4.1" | "4.2" | "4.3" | "4.5" => "The recipient's mail system could not be reached.",
        "4.4" => "There is no mail system for the part of the address behind the @.",
        "4.6" => {
            "The message went around in a circle. The administrators of the mail systems have to mend that."
        }
        "4.7" => "The message could not be delivered for so long that it was given up.",
        "6.1" | "6.2" | "6.3" | "6.5" | "6.7" | "6.9" => {
            "The recipient's mail system cannot take a message of this form."
        }
        "7.1" => "The recipient's mail system refuses to take this message from you.",
        "7.10" | "7.30" => {
            "The recipient's mail system cannot be reached with the encryption that this message has to have."
        }
        _ if subject_and_detail.starts_with("7.") => {
            "The recipient's mail system refuses the message by its rules."
        }
        _ => return None,
    })
}
