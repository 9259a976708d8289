//! What becomes of the rates as things grow. The sizes of messages and the numbers of sessions are loads as
//! [`IntoMailboxes`](super::IntoMailboxes).

mod mailbox;
mod queue;

pub(super) use self::mailbox::MailboxSize;
pub(super) use self::queue::Queue;
