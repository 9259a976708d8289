//! Mailboxes that somebody else may use.

use tokio::io::DuplexStream;

use super::client::{Client, Server, USER};

const BOB: &str = "bob@example.test";
const SHARED: &str = "\"Other Users/alice@example.test/Team\"";

/// Alice, who has a mailbox Team with a message, and Bob.
async fn two() -> (Server, Client<DuplexStream>, Client<DuplexStream>) {
    let server = Server::start().await;
    server.add_account(BOB).await;
    let mut alice = server.login().await;
    alice.ok("CREATE Team").await;
    alice.append("Team", "Subject: hello\r\n\r\nbody\r\n").await;
    let bob = server.login_as(BOB).await;
    (server, alice, bob)
}

#[tokio::test]
async fn what_is_not_shared_is_not_there() {
    let (_server, mut alice, mut bob) = two().await;
    for command in ["SELECT", "STATUS", "MYRIGHTS", "GETACL", "DELETE", "CREATE", "APPEND"] {
        let arguments = match command {
            "STATUS" => format!("{SHARED} (MESSAGES)"),
            "APPEND" => format!("{SHARED} {{1+}}\r\nx"),
            _ => SHARED.to_owned(),
        };
        let refused = bob.fails(&format!("{command} {arguments}")).await;
        let expected = match command {
            "CREATE" => "NO [NOPERM]",
            "APPEND" => "NO [TRYCREATE]",
            _ => "NO [NONEXISTENT]",
        };
        assert!(refused.starts_with(expected), "{command}: {refused}");
    }
    assert!(!bob.ok("LIST \"\" *").await.join("").contains("Other Users"));
    assert!(alice.fails(&format!("SELECT {SHARED}")).await.starts_with("NO [NONEXISTENT]"), "her own");
    let namespace = bob.ok("NAMESPACE").await;
    assert_eq!(namespace, ["* NAMESPACE ((\"\" \"/\")) ((\"Other Users/\" \"/\")) NIL"]);
}

#[tokio::test]
async fn rights_are_given_told_and_taken() {
    let (_server, mut alice, mut bob) = two().await;
    alice.ok(&format!("SETACL Team {BOB} lr")).await;
    alice.ok(&format!("SETACL Team {BOB} +ik")).await;
    alice.ok(&format!("SETACL Team {BOB} -k")).await;
    alice.ok("SETACL Team anyone l").await;
    alice.ok(&format!("SETACL Team -{BOB} i")).await;
    let told = alice.ok("GETACL Team").await.join("");
    assert!(told.starts_with("* ACL \"Team\" alice@example.test lrswipkxteacd"), "{told}");
    for entry in [" anyone l", " bob@example.test lri", " -bob@example.test i"] {
        assert!(told.contains(entry), "{entry}: {told}");
    }
    assert_eq!(bob.ok(&format!("MYRIGHTS {SHARED}")).await, [format!("* MYRIGHTS {SHARED} lr")]);
    assert_eq!(alice.ok("MYRIGHTS Team").await, ["* MYRIGHTS \"Team\" lrswipkxteacd"]);
    let listed = alice.ok(&format!("LISTRIGHTS Team {BOB}")).await;
    assert_eq!(listed, ["* LISTRIGHTS \"Team\" bob@example.test \"\" l r s w i p k x t e a"]);
    assert!(bob.fails(&format!("GETACL {SHARED}")).await.starts_with("NO [NOPERM]"));
    assert!(alice.fails(&format!("SETACL Team {USER} l")).await.starts_with("NO [CANNOT]"));
    assert!(alice.fails("SETACL Team nobody@example.test l").await.starts_with("NO [NONEXISTENT]"));
    assert!(alice.fails(&format!("SETACL Team {BOB} L")).await.starts_with("BAD"));
    alice.ok(&format!("DELETEACL Team {BOB}")).await;
    alice.ok("DELETEACL Team anyone").await;
    assert!(bob.fails(&format!("MYRIGHTS {SHARED}")).await.starts_with("NO [NONEXISTENT]"));
}

#[tokio::test]
async fn what_is_shared_is_listed_and_read() {
    let (_server, mut alice, mut bob) = two().await;
    alice.ok(&format!("SETACL Team {BOB} lr")).await;
    let listed = bob.ok("LIST \"\" \"Other Users*\" RETURN (MYRIGHTS STATUS (MESSAGES))").await;
    assert_eq!(
        listed,
        [
            "* LIST (\\NonExistent \\HasChildren) \"/\" \"Other Users\"".to_owned(),
            "* LIST (\\NonExistent \\HasChildren) \"/\" \"Other Users/alice@example.test\"".to_owned(),
            format!("* LIST (\\HasNoChildren) \"/\" {SHARED}"),
            format!("* MYRIGHTS {SHARED} lr"),
            format!("* STATUS {SHARED} (MESSAGES 1)"),
        ]
    );
    let (selected, tagged) = bob.command(&format!("SELECT {SHARED}")).await;
    assert!(tagged.starts_with("OK [READ-ONLY]"), "{tagged}");
    assert!(selected.iter().any(|line| line.contains("[PERMANENTFLAGS ()]")), "{selected:?}");
    assert!(bob.ok("FETCH 1 BODY[TEXT]").await.join("").contains("body"));
    assert!(bob.ok("FETCH 1 FLAGS").await.join("").contains("FLAGS ()"), "reading alone marks nothing");
    for command in ["STORE 1 +FLAGS (\\Seen)", "EXPUNGE", "MOVE 1 INBOX", "UID REPLACE 1 INBOX {1+}\r\nx"] {
        assert!(bob.fails(command).await.starts_with("NO"), "{command}");
    }
    // A copy to a mailbox of one's own is no change.
    bob.ok("COPY 1 INBOX").await;
    assert_eq!(bob.ok("STATUS INBOX (MESSAGES)").await, ["* STATUS \"INBOX\" (MESSAGES 1)"]);
}

#[tokio::test]
async fn each_right_allows_its_own() {
    let (_server, mut alice, mut bob) = two().await;
    alice.ok(&format!("SETACL Team {BOB} lrs")).await;
    let (selected, tagged) = bob.command(&format!("SELECT {SHARED}")).await;
    assert!(tagged.starts_with("OK [READ-WRITE]"), "{tagged}");
    assert!(selected.iter().any(|line| line.contains("[PERMANENTFLAGS (\\Seen)]")), "{selected:?}");
    bob.ok("STORE 1 +FLAGS (\\Seen \\Deleted word)").await;
    assert!(bob.ok("FETCH 1 FLAGS").await.join("").contains("FLAGS (\\Seen)"));
    assert!(bob.fails("STORE 1 +FLAGS (\\Deleted)").await.starts_with("NO [NOPERM]"));
    assert!(bob.fails("STORE 1 FLAGS (\\Seen)").await.starts_with("NO [NOPERM]"));
    alice.ok(&format!("SETACL Team {BOB} lrwtei")).await;
    bob.ok("STORE 1 +FLAGS (\\Deleted word)").await;
    bob.ok("CLOSE").await;
    assert_eq!(alice.ok("STATUS Team (MESSAGES)").await, ["* STATUS \"Team\" (MESSAGES 0)"]);
    let appended = format!("APPEND {SHARED} (\\Seen word) {{3+}}\r\nnew");
    bob.ok(&appended).await;
    alice.ok("SELECT Team").await;
    assert!(alice.ok("FETCH 1 FLAGS").await.join("").contains("FLAGS (word)"), "without s no \\Seen");
}

#[tokio::test]
async fn whoever_may_not_look_into_a_mailbox_hears_of_no_uids_there() {
    let (_server, mut alice, mut bob) = two().await;
    alice.ok(&format!("SETACL Team {BOB} li")).await;
    bob.append("INBOX", "Subject: x\r\n\r\ny\r\n").await;
    bob.ok("SELECT INBOX").await;
    let append = format!("APPEND {SHARED} {{3+}}\r\nnew");
    for command in [append.clone(), format!("COPY 1 {SHARED}"), format!("MOVE 1 {SHARED}")] {
        let (told, tagged) = bob.command(&command).await;
        let all = format!("{told:?} {tagged}");
        assert!(tagged.starts_with("OK ") && !all.contains("UID"), "{command}: {all}");
    }
    alice.ok(&format!("SETACL Team {BOB} lri")).await;
    assert!(bob.command(&append).await.1.starts_with("OK [APPENDUID "));
}

#[tokio::test]
async fn what_may_be_looked_up_and_not_read_is_shown_as_such() {
    let (_server, mut alice, mut bob) = two().await;
    alice.ok(&format!("SETACL Team {BOB} l")).await;
    let listed = bob.ok("LIST \"\" \"Other Users/*/Team\" RETURN (STATUS (MESSAGES))").await;
    assert_eq!(listed, [format!("* LIST (\\HasNoChildren \\Noselect) \"/\" {SHARED}")]);
    let told = bob.ok("NOTIFY SET (subtree (\"Other Users\") (MessageNew MessageExpunge))").await;
    assert_eq!(told, [format!("* LIST (\\NoAccess) \"/\" {SHARED}")]);
}

#[tokio::test]
async fn messages_move_between_accounts_in_one_step() {
    let (_server, mut alice, mut bob) = two().await;
    alice.ok(&format!("SETACL Team {BOB} lrite")).await;
    bob.ok(&format!("SELECT {SHARED}")).await;
    let (moved, _) = bob.command("MOVE 1 INBOX").await;
    assert!(moved[0].starts_with("* OK [COPYUID ") && moved.contains(&"* 1 EXPUNGE".to_owned()), "{moved:?}");
    bob.ok("SELECT INBOX").await;
    assert!(bob.ok("FETCH 1 BODY.PEEK[TEXT]").await.join("").contains("body"));
    bob.ok("STORE 1 +FLAGS (\\Flagged)").await;
    bob.ok(&format!("MOVE 1 {SHARED}")).await;
    alice.ok("SELECT Team").await;
    let fetched = alice.ok("FETCH 1 (UID FLAGS BODY.PEEK[TEXT])").await.join("");
    assert!(fetched.contains("UID 2 FLAGS ()") && fetched.contains("body"), "{fetched}");
    // Within one mailbox of another's, too.
    bob.ok(&format!("SELECT {SHARED}")).await;
    bob.ok(&format!("COPY 1 {SHARED}")).await;
    assert_eq!(alice.ok("NOOP").await[0], "* 2 EXISTS");
}

#[tokio::test]
async fn mailboxes_below_are_made_deleted_and_renamed_with_the_right_to() {
    let (_server, mut alice, mut bob) = two().await;
    alice.ok(&format!("SETACL Team {BOB} lr")).await;
    let below = "\"Other Users/alice@example.test/Team/below\"";
    let other = "\"Other Users/alice@example.test/Team/other\"";
    assert!(bob.fails(&format!("CREATE {below}")).await.starts_with("NO [NOPERM]"));
    alice.ok(&format!("SETACL Team {BOB} +kx")).await;
    bob.ok(&format!("CREATE {below}")).await;
    assert!(bob.ok(&format!("MYRIGHTS {below}")).await[0].ends_with(" lrkxc"));
    assert!(alice.ok("LIST \"\" Team/*").await[0].contains("Team/below"));
    bob.ok(&format!("RENAME {below} {other}")).await;
    assert!(bob.fails(&format!("RENAME {other} mine")).await.starts_with("NO [CANNOT]"));
    bob.ok(&format!("DELETE {other}")).await;
    assert!(bob.fails("CREATE \"Other Users\"").await.starts_with("NO"));
    assert!(bob.fails("CREATE \"Other Users/alice@example.test/Top\"").await.starts_with("NO [NOPERM]"));
}

#[tokio::test]
async fn rights_that_are_taken_away_end_the_sessions_that_used_them() {
    let (_server, mut alice, mut bob) = two().await;
    alice.ok(&format!("SETACL Team {BOB} lr")).await;
    bob.ok(&format!("SELECT {SHARED}")).await;
    alice.ok(&format!("DELETEACL Team {BOB}")).await;
    bob.send("a FETCH 1 BODY[]\r\n").await;
    assert!(bob.rest().await.starts_with("* BYE"));
}

#[tokio::test]
async fn without_acl_nothing_is_shared() {
    let hide = crate::config::HideConfig { capabilities: vec!["ACL".into()], ..Default::default() };
    let server = Server::with(|options| options.hide = vec![hide]).await;
    let mut client = server.login().await;
    assert_eq!(client.ok("NAMESPACE").await, ["* NAMESPACE ((\"\" \"/\")) NIL NIL"]);
    assert!(client.fails("MYRIGHTS INBOX").await.starts_with("BAD"));
    client.ok("CREATE \"Other Users/x\"").await;
}

#[tokio::test]
async fn mailboxes_that_are_not_shared_cannot_be_found_by_making_others_below() {
    let (_server, _alice, mut bob) = two().await;
    for above in ["Team", "Nothing"] {
        let refused = bob.fails(&format!("CREATE \"Other Users/alice@example.test/{above}/q\"")).await;
        assert!(refused.starts_with("NO [NOPERM]"), "{above}: {refused}");
    }
}

#[tokio::test]
async fn special_uses_are_the_owners_to_choose() {
    let (_server, mut alice, mut bob) = two().await;
    alice.ok(&format!("SETACL Team {BOB} lrk")).await;
    let below = "\"Other Users/alice@example.test/Team/s\"";
    assert!(bob.fails(&format!("CREATE {below} (USE (\\Archive))")).await.starts_with("NO [USEATTR]"));
    bob.ok(&format!("CREATE {below}")).await;
}

#[tokio::test]
async fn nothing_is_copied_out_of_a_mailbox_that_is_shared_no_more() {
    let (server, mut alice, mut bob) = two().await;
    alice.ok(&format!("SETACL Team {BOB} lr")).await;
    bob.ok(&format!("SELECT {SHARED}")).await;
    alice.ok(&format!("DELETEACL Team {BOB}")).await;
    bob.send("a APPEND INBOX CATENATE (URL \"/;UID=1\")\r\n").await;
    assert!(bob.rest().await.starts_with("* BYE"));
    let mut bob = server.login_as(BOB).await;
    assert_eq!(bob.ok("STATUS INBOX (MESSAGES)").await, ["* STATUS \"INBOX\" (MESSAGES 0)"]);
}

#[tokio::test]
async fn rights_to_put_messages_somewhere_must_last_until_they_are_there() {
    let (_server, mut alice, mut bob) = two().await;
    let append = format!("a APPEND {SHARED} {{3}}\r\n");
    alice.ok(&format!("SETACL Team {BOB} li")).await;
    bob.send(&append).await;
    assert!(bob.line().await.starts_with("+ "));
    alice.ok(&format!("DELETEACL Team {BOB}")).await;
    bob.send("new\r\n").await;
    assert!(bob.responses("a").await.1.starts_with("NO"));
    // Another mailbox has the name meanwhile.
    alice.ok(&format!("SETACL Team {BOB} li")).await;
    bob.send(&append).await;
    assert!(bob.line().await.starts_with("+ "));
    alice.ok("RENAME Team Old").await;
    alice.ok("CREATE Team").await;
    alice.ok(&format!("SETACL Team {BOB} li")).await;
    bob.send("new\r\n").await;
    assert!(bob.responses("a").await.1.starts_with("NO [TRYCREATE]"));
    assert_eq!(alice.ok("STATUS Team (MESSAGES)").await, ["* STATUS \"Team\" (MESSAGES 0)"]);
}

#[tokio::test]
async fn any_right_tells_ones_rights_and_annotations_need_two() {
    let (_server, mut alice, mut bob) = two().await;
    alice.ok("SETMETADATA Team (/shared/comment \"x\")").await;
    alice.ok(&format!("SETACL Team {BOB} r")).await;
    assert_eq!(bob.ok(&format!("MYRIGHTS {SHARED}")).await, [format!("* MYRIGHTS {SHARED} r")]);
    let get = format!("GETMETADATA {SHARED} /shared/comment");
    assert!(bob.fails(&get).await.starts_with("NO"));
    alice.ok(&format!("SETACL Team {BOB} ls")).await;
    assert!(bob.ok(&get).await.join("").contains("/shared/comment"));
}

#[tokio::test]
async fn each_user_has_seen_what_they_have_seen() {
    let (server, mut alice, mut bob) = two().await;
    alice.append("Team", "two").await;
    alice.append("Team", "three").await;
    alice.ok(&format!("SETACL Team {BOB} lrswit")).await;
    alice.ok("SELECT Team").await;
    alice.ok("STORE 1 +FLAGS (\\Seen)").await;
    let mut also_bob = server.login_as(BOB).await;
    for client in [&mut bob, &mut also_bob] {
        client.ok(&format!("SELECT {SHARED} (CONDSTORE)")).await;
    }
    let status = format!("STATUS {SHARED} (MESSAGES UNSEEN)");
    assert_eq!(bob.ok(&status).await, [format!("* STATUS {SHARED} (MESSAGES 3 UNSEEN 3)")]);
    assert_eq!(bob.ok("SEARCH SEEN").await, ["* SEARCH"]);
    bob.ok("STORE 2 +FLAGS (\\Seen \\Flagged)").await;
    assert!(bob.ok("FETCH 3 BODY[]").await.join("").contains("FLAGS (\\Seen)"));
    assert_eq!(bob.ok("SEARCH SEEN").await, ["* SEARCH 2 3"]);
    assert_eq!(bob.ok(&status).await, [format!("* STATUS {SHARED} (MESSAGES 3 UNSEEN 1)")]);
    // The owner hears of what is shared only.
    let told = alice.ok("NOOP").await.join("");
    assert!(told.contains("\\Flagged") && !told.contains("\\Seen"), "{told}");
    assert_eq!(alice.ok("SEARCH SEEN").await, ["* SEARCH 1"]);
    assert_eq!(alice.ok("STATUS Team (UNSEEN)").await, ["* STATUS \"Team\" (UNSEEN 2)"]);
    // The user's other session hears of all.
    let told = also_bob.ok("NOOP").await.join("");
    assert_eq!(told.matches("\\Seen").count(), 2, "{told}");
    bob.ok("STORE 1:3 FLAGS (\\Answered)").await;
    assert_eq!(bob.ok("SEARCH SEEN").await, ["* SEARCH"]);
    alice.ok("NOOP").await;
    assert_eq!(alice.ok("SEARCH SEEN").await, ["* SEARCH 1"], "nobody else's flags are replaced");
}

#[tokio::test]
async fn what_one_has_seen_lasts_and_has_modseqs() {
    let (server, mut alice, mut bob) = two().await;
    alice.ok(&format!("SETACL Team {BOB} lrswi")).await;
    bob.ok(&format!("SELECT {SHARED} (CONDSTORE)")).await;
    let before = bob.ok("FETCH 1 MODSEQ").await;
    bob.ok("STORE 1 +FLAGS.SILENT (\\Seen)").await;
    let after = bob.ok("FETCH 1 (FLAGS MODSEQ)").await;
    assert!(before != after && after[0].contains("\\Seen"), "{before:?} {after:?}");
    assert!(bob.ok("STORE 1 (UNCHANGEDSINCE 1) -FLAGS (\\Seen)").await.join("").contains("MODSEQ"));
    assert_eq!(bob.ok("SEARCH SEEN").await, ["* SEARCH 1"], "it had changed since");
    drop((alice, bob));
    let server = server.reopened().await;
    let mut bob = server.login_as(BOB).await;
    bob.ok(&format!("SELECT {SHARED} (CONDSTORE)")).await;
    assert_eq!(bob.ok("FETCH 1 (FLAGS MODSEQ)").await, after);
}

#[tokio::test]
async fn what_is_seen_goes_along_with_copies_for_who_has_seen_it() {
    let (_server, mut alice, mut bob) = two().await;
    alice.append("Team", "two").await;
    alice.ok(&format!("SETACL Team {BOB} lrswite")).await;
    alice.ok("SELECT Team").await;
    alice.ok("STORE 1 +FLAGS (\\Seen)").await;
    bob.ok(&format!("SELECT {SHARED}")).await;
    bob.ok("STORE 2 +FLAGS (\\Seen)").await;
    bob.ok("COPY 1:2 INBOX").await;
    bob.ok(&format!("APPEND {SHARED} (\\Seen) {{3+}}\r\nnew")).await;
    assert_eq!(bob.ok("SEARCH SEEN").await.last().unwrap(), "* SEARCH 2 3");
    alice.ok("NOOP").await;
    assert_eq!(alice.ok("SEARCH SEEN").await, ["* SEARCH 1"]);
    bob.ok("SELECT INBOX").await;
    assert_eq!(bob.ok("SEARCH SEEN").await, ["* SEARCH 2"]);
}

#[tokio::test]
async fn clients_of_old_are_told_what_they_cannot_select_in_words_they_know() {
    let (_server, mut alice, mut bob) = two().await;
    alice.ok(&format!("SETACL Team {BOB} lr")).await;
    let listed = bob.ok("LIST \"\" \"Other Users\"").await;
    assert_eq!(listed, ["* LIST (\\NonExistent \\HasChildren \\Noselect) \"/\" \"Other Users\""]);
}

#[tokio::test]
async fn a_mailbox_of_which_nobody_can_tell_who_may_read_it_is_read_no_more() {
    let (server, mut alice, mut bob) = two().await;
    alice.ok(&format!("SETACL Team {BOB} lr")).await;
    bob.ok(&format!("SELECT {SHARED}")).await;
    server.store.store.spoil_rights();
    bob.send("a FETCH 1 BODY[TEXT]\r\n").await;
    assert!(bob.line().await.starts_with("* BYE"));
    // The same once more makes it good.
    server.store.store.spoil_rights();
}

#[tokio::test]
async fn flags_are_replaced_in_what_there_is_then_and_not_in_what_was_told() {
    let (_server, mut alice, mut bob) = two().await;
    alice.ok(&format!("SETACL Team {BOB} lrswit")).await;
    bob.ok(&format!("SELECT {SHARED}")).await;
    alice.ok("SELECT Team").await;
    alice.ok("STORE 1 +FLAGS (\\Seen)").await;
    bob.ok("STORE 1 FLAGS (\\Flagged)").await;
    alice.ok("NOOP").await;
    assert_eq!(alice.ok("SEARCH SEEN FLAGGED").await, ["* SEARCH 1"]);
}

#[tokio::test]
async fn what_ones_other_session_has_seen_counts_as_a_change_since() {
    let (server, mut alice, mut bob) = two().await;
    alice.ok(&format!("SETACL Team {BOB} lrswit")).await;
    let mut also_bob = server.login_as(BOB).await;
    bob.ok(&format!("SELECT {SHARED} (CONDSTORE)")).await;
    also_bob.ok(&format!("SELECT {SHARED}")).await;
    let told = bob.ok("FETCH 1 MODSEQ").await.join("");
    let modseq = told.split_once("MODSEQ (").and_then(|(_, rest)| rest.split_once(')')).unwrap().0.to_owned();
    also_bob.ok("STORE 1 +FLAGS (\\Seen)").await;
    let (_, tagged) = bob.command(&format!("STORE 1 (UNCHANGEDSINCE {modseq}) -FLAGS (\\Seen)")).await;
    assert!(tagged.starts_with("OK [MODIFIED 1]"), "{tagged}");
    assert_eq!(bob.ok("SEARCH SEEN").await[0], "* SEARCH 1");
}

#[tokio::test]
async fn what_is_stored_is_not_refused_because_it_cannot_be_marked_as_seen() {
    let (server, mut alice, mut bob) = two().await;
    alice.ok(&format!("SETACL Team {BOB} lrswi")).await;
    let append = format!("APPEND {SHARED} (\\Seen) {{3+}}\r\nnew");
    bob.ok(&append).await;
    server.store.store.spoil_seen();
    bob.ok(&append).await;
    assert_eq!(alice.ok("STATUS Team (MESSAGES)").await, ["* STATUS \"Team\" (MESSAGES 3)"]);
    // The same once more makes it good.
    server.store.store.spoil_seen();
}
