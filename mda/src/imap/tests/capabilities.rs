//! What is announced, and what is hidden from whom.

use super::client::{PASSWORD, Server, USER};
use crate::config::HideConfig;

fn hide(capabilities: &[&str]) -> HideConfig {
    let capabilities = capabilities.iter().map(|name| (*name).to_owned()).collect();
    HideConfig { capabilities, ..HideConfig::default() }
}

async fn announced(client: &mut super::client::Client<tokio::io::DuplexStream>) -> Vec<String> {
    let told = client.ok("CAPABILITY").await.join("");
    told.split(' ').skip(2).map(str::to_owned).collect()
}

#[tokio::test]
async fn before_and_after_login_clients_are_told_what_works_then() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let before = announced(&mut client).await;
    assert_eq!(before[..2], ["IMAP4rev1", "IMAP4rev2"]);
    assert!(before.contains(&"AUTH=PLAIN".to_owned()) && before.contains(&"SASL-IR".to_owned()));
    assert!(!before.contains(&"IDLE".to_owned()) && !before.contains(&"LOGINDISABLED".to_owned()));
    client.ok(&format!("LOGIN {USER} \"{PASSWORD}\"")).await;
    let after = announced(&mut client).await;
    assert!(after.contains(&"IDLE".to_owned()) && !after.contains(&"AUTH=PLAIN".to_owned()), "{after:?}");
    assert!(after.iter().any(|name| name.starts_with("APPENDLIMIT=")));
}

#[tokio::test]
async fn what_is_hidden_from_all_is_neither_announced_nor_known() {
    let server = Server::with(|options| options.hide = vec![hide(&["idle", "IMAP4rev2", "LITERAL+"])]).await;
    let mut client = server.connect_quietly();
    assert!(client.line().await.starts_with("* OK [CAPABILITY IMAP4rev1 "));
    client.ok(&format!("LOGIN {USER} \"{PASSWORD}\"")).await;
    let after = announced(&mut client).await;
    assert!(!after.contains(&"IDLE".to_owned()) && !after.contains(&"IMAP4rev2".to_owned()));
    assert!(after.contains(&"LITERAL-".to_owned()) && !after.contains(&"LITERAL+".to_owned()));
    assert!(client.fails("IDLE").await.starts_with("BAD"));
    assert_eq!(client.ok("ENABLE IMAP4rev2").await, ["* ENABLED"]);
    client.ok("NOOP").await;
}

#[tokio::test]
async fn some_is_hidden_from_a_program_by_the_name_it_gives() {
    let rule = HideConfig { client: "Old*".into(), version: "1.*".into(), ..hide(&["MOVE"]) };
    let server = Server::with(|options| options.hide = vec![rule]).await;
    let mut client = server.login().await;
    assert!(announced(&mut client).await.contains(&"MOVE".to_owned()));
    client.ok("ID (\"version\" \"1.2\" \"name\" \"oldmail\")").await;
    assert!(!announced(&mut client).await.contains(&"MOVE".to_owned()));
    client.ok("ID (\"version\" \"2.0\" \"name\" \"oldmail\")").await;
    assert!(announced(&mut client).await.contains(&"MOVE".to_owned()));
}

#[tokio::test]
async fn some_is_hidden_from_an_account_or_a_network() {
    let account = HideConfig { accounts: vec![USER.to_uppercase()], ..hide(&["MOVE"]) };
    let near = HideConfig { networks: vec!["127.0.0.0/8".parse().unwrap()], ..hide(&["ESEARCH"]) };
    let far = HideConfig { networks: vec!["192.0.2.0/24".parse().unwrap()], ..hide(&["UIDPLUS"]) };
    let server = Server::with(|options| options.hide = vec![account, near, far]).await;
    let after = announced(&mut server.login().await).await;
    let has = |name: &str| after.contains(&name.to_owned());
    assert!(!has("MOVE") && !has("ESEARCH") && has("UIDPLUS"), "{after:?}");
}

#[tokio::test]
async fn what_is_hidden_is_not_there_in_any_part() {
    let hidden =
        ["OBJECTID", "CONDSTORE", "PARTIAL", "WITHIN", "PREVIEW", "SAVEDATE", "SEARCHRES", "UIDPLUS"];
    let more =
        ["BINARY", "SORT=DISPLAY", "STATUS=SIZE", "CREATE-SPECIAL-USE", "LIST-STATUS", "QRESYNC", "CHILDREN"];
    let contexts = ["CONTEXT=SEARCH", "CONTEXT=SORT"];
    let hidden = vec![hide(&hidden), hide(&more), hide(&contexts)];
    let server = Server::with(|options| options.hide = hidden).await;
    let mut client = server.login().await;
    let selected = client.ok("SELECT INBOX").await.join("");
    assert!(!selected.contains("MODSEQ") && !selected.contains("MAILBOXID"), "{selected}");
    assert!(!client.command("CREATE new").await.1.contains("MAILBOXID"));
    assert!(!client.command("APPEND INBOX {3+}\r\nabc").await.1.contains("APPENDUID"));
    assert!(!client.command("COPY 1 INBOX").await.1.contains("COPYUID"));
    for command in [
        "FETCH 1 EMAILID",
        "FETCH 1 MODSEQ",
        "UID FETCH 1 FLAGS (CHANGEDSINCE 1)",
        "UID FETCH 1 FLAGS (PARTIAL 1:5)",
        "FETCH 1 (UID PREVIEW)",
        "FETCH 1 SAVEDATE",
        "NOTIFY SET (selected (MessageNew (UID PREVIEW) MessageExpunge))",
        "FETCH 1 BINARY.SIZE[1]",
        "FETCH $ UID",
        "STORE 1 (UNCHANGEDSINCE 1) +FLAGS (a)",
        "SEARCH NOT OR ALL (MODSEQ 1)",
        "SEARCH EMAILID M1",
        "SEARCH OLDER 1",
        "SEARCH SAVEDSINCE 1-Jan-2020",
        "SEARCH RETURN (SAVE) ALL",
        "SEARCH RETURN (PARTIAL 1:5) ALL",
        "SEARCH RETURN (UPDATE) ALL",
        "SORT RETURN (CONTEXT COUNT) (DATE) UTF-8 ALL",
        "CANCELUPDATE \"a\"",
        "SORT (DISPLAYFROM) UTF-8 ALL",
        "STATUS INBOX (SIZE)",
        "LIST \"\" * RETURN (CHILDREN)",
        "STATUS INBOX (MESSAGES HIGHESTMODSEQ)",
        "LIST (SPECIAL-USE) \"\" * RETURN (STATUS (MESSAGES))",
        "CREATE sent (USE (\\Sent))",
        "UID EXPUNGE 1",
    ] {
        let refused = client.fails(command).await;
        assert!(refused.starts_with("BAD unknown"), "{command}: {refused}");
        // Errors in a row end a session.
        client.ok("NOOP").await;
    }
    client.ok("UID FETCH 1 (FLAGS BODY.PEEK[HEADER])").await;
}
