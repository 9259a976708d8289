//! With which capabilities a command, and each thing that it asks for, came.

use message::thread::Algorithm;

use crate::imap::parse::{
    Command, FetchItem, FetchModifiers, List, MessageSet, Notify, NotifyEvent, Search, SearchKey, Select,
    SortKey, StatusItem,
};

/// The capabilities that a command relies on, besides what IMAP4rev1 has of itself. Of those with a `|` between them
/// any is enough.
pub(super) fn came_with(command: &Command) -> Vec<&'static str> {
    let mut names = Vec::new();
    names.extend(verb(command));
    match command {
        Command::Create { special_use, .. } if !special_use.is_empty() => names.push("CREATE-SPECIAL-USE"),
        Command::Examine(select) | Command::Select(select) => selecting(select, &mut names),
        Command::Fetch { set, items, modifiers, .. } => {
            fetching(items, *modifiers, &mut names);
            names.extend(saved(set));
        }
        Command::List(list) => listing(list, &mut names),
        Command::Status { items, .. } => names.extend(items.iter().copied().filter_map(status_item)),
        Command::Search { search, .. } => {
            names.extend(search.returns.is_some().then_some("ESEARCH"));
            searching(search, "CONTEXT=SEARCH", "PARTIAL|CONTEXT=SEARCH", &mut names);
        }
        Command::Sort { sort, .. } => {
            names.extend(sort.search.returns.is_some().then_some("ESORT"));
            let shown = |key| matches!(key, SortKey::DisplayFrom | SortKey::DisplayTo);
            names.extend(sort.criteria.iter().any(|by| shown(by.key)).then_some("SORT=DISPLAY"));
            searching(&sort.search, "CONTEXT=SORT", "PARTIAL|CONTEXT=SORT", &mut names);
        }
        Command::Notify(Notify::Set { groups, .. }) => {
            for event in groups.iter().flat_map(|group| &group.events) {
                if let NotifyEvent::MessageNew(items) = event {
                    fetching(items, FetchModifiers::default(), &mut names);
                }
            }
        }
        Command::MultiSearch(command) => {
            searching(&command.search, "CONTEXT=SEARCH", "PARTIAL|CONTEXT=SEARCH", &mut names);
        }
        Command::Thread { thread, .. } => search_key(&thread.search.key, &mut names),
        Command::Store { store, .. } => {
            names.extend(store.unchanged_since.map(|_| "CONDSTORE"));
            names.extend(saved(&store.set));
        }
        Command::Copy { set, .. } | Command::Move { set, .. } | Command::Expunge { set: Some(set) } => {
            names.extend(saved(set));
        }
        _ => {}
    }
    names
}

/// What the command itself came with.
fn verb(command: &Command) -> Option<&'static str> {
    Some(match command {
        Command::Acl(_) => "ACL",
        Command::CancelUpdate(_) => "CONTEXT=SEARCH|CONTEXT=SORT",
        Command::Compress { .. } => "COMPRESS=DEFLATE",
        Command::Enable(_) => "ENABLE",
        Command::Expunge { set: Some(_) } => "UIDPLUS",
        Command::GetMetadata(_) | Command::SetMetadata(_) => "METADATA",
        Command::GetQuota(_) | Command::GetQuotaRoot(_) | Command::SetQuota(_) => "QUOTA",
        Command::Id(_) => "ID",
        Command::Idle => "IDLE",
        Command::Move { .. } => "MOVE",
        Command::Namespace => "NAMESPACE",
        Command::MultiSearch(_) => "MULTISEARCH",
        Command::Notify(_) => "NOTIFY",
        Command::Sort { .. } => "SORT",
        Command::StartTls => "STARTTLS",
        Command::Thread { thread, .. } => match thread.algorithm {
            Algorithm::OrderedSubject => "THREAD=ORDEREDSUBJECT",
            Algorithm::References => "THREAD=REFERENCES",
            Algorithm::Refs => "THREAD=REFS",
        },
        Command::Unauthenticate => "UNAUTHENTICATE",
        Command::Unselect => "UNSELECT",
        _ => return None,
    })
}

fn selecting(select: &Select, names: &mut Vec<&'static str>) {
    names.extend(select.resync.is_some().then_some("QRESYNC"));
    names.extend(select.condstore.then_some("CONDSTORE"));
}

fn fetching(items: &[FetchItem], modifiers: FetchModifiers, names: &mut Vec<&'static str>) {
    names.extend(items.iter().filter_map(fetch_item));
    names.extend(modifiers.vanished.then_some("QRESYNC"));
    names.extend(modifiers.partial.map(|_| "PARTIAL"));
    names.extend(modifiers.changed_since.map(|_| "CONDSTORE"));
}

fn fetch_item(item: &FetchItem) -> Option<&'static str> {
    match item {
        FetchItem::ModSeq => Some("CONDSTORE"),
        FetchItem::EmailId | FetchItem::ThreadId => Some("OBJECTID"),
        FetchItem::SaveDate => Some("SAVEDATE"),
        FetchItem::Binary { .. } | FetchItem::BinarySize(_) => Some("BINARY"),
        FetchItem::Preview => Some("PREVIEW"),
        _ => None,
    }
}

fn listing(list: &List, names: &mut Vec<&'static str>) {
    let special_use = list.selection.special_use || list.returns.special_use;
    names.extend(special_use.then_some("SPECIAL-USE"));
    names.extend((!list.returns.status.is_empty()).then_some("LIST-STATUS"));
    names.extend(list.returns.status.iter().copied().filter_map(status_item));
    names.extend(list.returns.children.then_some("CHILDREN"));
    names.extend(list.returns.my_rights.then_some("LIST-MYRIGHTS"));
    names.extend((!list.returns.metadata.is_empty()).then_some("LIST-METADATA"));
    names.extend(list.extended.then_some("LIST-EXTENDED"));
}

fn status_item(item: StatusItem) -> Option<&'static str> {
    match item {
        StatusItem::AppendLimit => Some("APPENDLIMIT"),
        StatusItem::DeletedStorage => Some("QUOTA=RES-STORAGE"),
        StatusItem::HighestModSeq => Some("CONDSTORE"),
        StatusItem::MailboxId => Some("OBJECTID"),
        StatusItem::Size => Some("STATUS=SIZE"),
        _ => None,
    }
}

/// `context` is the capability that contexts of this command came with, `part` those that ranges of its results did.
fn searching(search: &Search, context: &'static str, part: &'static str, names: &mut Vec<&'static str>) {
    if let Some(returns) = search.returns {
        names.extend(returns.save.then_some("SEARCHRES"));
        // Only RFC 9394 counts from the last.
        names.extend(returns.partial.map(|range| if range.from_last { "PARTIAL" } else { part }));
        names.extend((returns.context || returns.update).then_some(context));
    }
    names.extend((!search.fetched.is_empty()).then_some("NOTIFY"));
    fetching(&search.fetched, FetchModifiers::default(), names);
    search_key(&search.key, names);
}

/// Recursion ends: the parser caps the nesting of keys.
fn search_key(key: &SearchKey, names: &mut Vec<&'static str>) {
    match key {
        SearchKey::And(keys) => keys.iter().for_each(|key| search_key(key, names)),
        SearchKey::Or(keys) => [&keys.0, &keys.1].iter().for_each(|key| search_key(key, names)),
        SearchKey::Not(key) => search_key(key, names),
        SearchKey::ModSeq(_) => names.push("CONDSTORE"),
        SearchKey::EmailId(_) | SearchKey::ThreadId(_) => names.push("OBJECTID"),
        SearchKey::SavedBefore(_) | SearchKey::SavedOn(_) | SearchKey::SavedSince(_) => {
            names.push("SAVEDATE");
        }
        SearchKey::Older(_) | SearchKey::Younger(_) => names.push("WITHIN"),
        SearchKey::Sequence(set) | SearchKey::Uid(set) => names.extend(saved(set)),
        _ => {}
    }
}

/// `$`
fn saved(set: &MessageSet) -> Option<&'static str> {
    (*set == MessageSet::Saved).then_some("SEARCHRES")
}
