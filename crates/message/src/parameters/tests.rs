use proptest::prelude::*;

use super::*;

#[track_caller]
fn reads(field: &str, value: &str, parameters: &[(&str, &str)]) {
    let (read, list) = parse(field.as_bytes());
    let list: Vec<_> = list.iter().map(|one| (one.name.as_str(), one.value.as_str())).collect();
    assert_eq!((read.as_str(), list.as_slice()), (value, parameters), "{field}");
}

#[test]
fn parameters_by_the_rules() {
    reads("text/plain", "text/plain", &[]);
    reads(
        "text/plain; charset=us-ascii (Plain text)\r\n\t; Format = \"flowed\"",
        "text/plain",
        &[("charset", "us-ascii"), ("format", "flowed")],
    );
    reads(r#"attachment; filename="a \"b\"; c.txt""#, "attachment", &[("filename", r#"a "b"; c.txt"#)]);
    reads("multipart/mixed;boundary=a'b+c_d", "multipart/mixed", &[("boundary", "a'b+c_d")]);
    reads("(one (two)) text/html (three)", "text/html", &[]);
}

/// RFC 2231 §3, §4 and §4.1.
#[test]
fn continuations_and_charsets() {
    reads(
        "message/external-body; access-type=URL;\r\n URL*0=\"ftp://\";\r\n URL*1=\"cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar\"",
        "message/external-body",
        &[("access-type", "URL"), ("url", "ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar")],
    );
    reads(
        "application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
        "application/x-stuff",
        &[("title", "This is ***fun***")],
    );
    reads(
        "application/x-stuff; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*0*=us-ascii'en'This%20is%20even%20more%20; title*2=\"isn't it!\"",
        "application/x-stuff",
        &[("title", "This is even more ***fun*** isn't it!")],
    );
    reads("a; f*=iso-8859-1''caf%E9", "a", &[("f", "café")]);
    reads("a; f*0*=utf-8''%C3; f*1*=%A9", "a", &[("f", "é")]);
    assert!(parse(b"a; f*=iso-8859-1''caf%E9").1[0].extended);
    assert!(!parse(b"a; f*0=x; f*1=y").1[0].extended);
}

#[test]
fn the_encoded_form_counts_and_the_first_of_doubles() {
    reads("a; f=plain; f*=utf-8''%C3%A9", "a", &[("f", "é")]);
    reads("a; f=one; f=two", "a", &[("f", "one")]);
    reads("a; f*1=b; f*0=a; f*3=d", "a", &[("f", "ab")]);
}

#[test]
fn broken_ones_are_read_as_they_were_meant() {
    reads("attachment; filename=my file.txt; x=1", "attachment", &[("filename", "my file.txt"), ("x", "1")]);
    reads("attachment; filename=\"my file.txt", "attachment", &[("filename", "my file.txt")]);
    reads("a;; ; b; =c; d=", "a", &[("d", "")]);
    reads("a; f=x(y", "a", &[("f", "x(y")]);
    reads("a; f*=no-charset%20here; g*=utf-8'%41", "a", &[("f", "no-charset here"), ("g", "utf-8'A")]);
    reads("a; f*=utf-8''100%", "a", &[("f", "100%")]);
    reads("a; f*x=1; *=2; *0=3", "a", &[]);
    reads("a; f=\"x\"junk; g=1", "a", &[("f", "x"), ("g", "1")]);
    reads("", "", &[]);
}

#[test]
fn bombs_are_read_in_linear_time() {
    for bomb in ["a=b;", "(", "\"", "a*0=b;", ";", "=", "\\", "a=\"(", "a*=''%4"] {
        let field = format!("x;{}", bomb.repeat(2_000_000 / bomb.len()));
        assert!(parse(field.as_bytes()).1.len() <= MAX_PARAMETERS);
    }
    let many = (0..10_000).map(|n| format!("; p{n}=v")).collect::<Vec<_>>().concat();
    assert_eq!(parse(many.as_bytes()).1.len(), MAX_PARAMETERS);
}

proptest! {
    #[test]
    fn any_octets_have_parameters_or_none(field in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(parse(&field).1.iter().all(|parameter| !parameter.name.is_empty()));
    }

    #[test]
    fn names_come_once(field in "a(;[ab](\\*[01]?){0,2}=([a-c%'()\"\\\\]|%4[0-9]){0,5}){0,8}") {
        let parameters = parse(field.as_bytes()).1;
        for (index, one) in parameters.iter().enumerate() {
            prop_assert!(parameters[..index].iter().all(|other| other.name != one.name));
        }
    }

    #[test]
    fn what_is_quoted_by_the_rules_reads_back(value in "[ -~é]{0,40}") {
        let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
        let (_, parameters) = parse(format!("x/y; p=\"{quoted}\"; q=r").as_bytes());
        prop_assert_eq!(find(&parameters, "p"), Some(value.as_str()));
        prop_assert_eq!(find(&parameters, "q"), Some("r"));
    }
}
