//! What servers reply, in one line.

use proto::mail::Reply;

/// `451 4.7.1 greylisted / come back`: code, enhanced code and text, without those that are absent.
pub(crate) fn line(reply: &Reply) -> String {
    let code = if reply.code == 0 { String::new() } else { reply.code.to_string() };
    let words = [code, reply.enhanced.clone(), reply.text.replace('\n', " / ")];
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_leaves_no_gap() {
        let reply =
            |code, enhanced: &str, text: &str| Reply { code, enhanced: enhanced.into(), text: text.into() };
        assert_eq!(line(&reply(451, "4.7.1", "greylisted\ncome back")), "451 4.7.1 greylisted / come back");
        assert_eq!(line(&reply(250, "", "ok")), "250 ok");
        assert_eq!(line(&reply(0, "", "connection refused")), "connection refused");
    }
}
