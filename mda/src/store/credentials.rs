//! Passwords between their form in records and that which the store's users see.

use jiff::Timestamp;
use sasl::scram::Keys;

use super::record::{AppPasswordState, ScramState};
use super::{AppPassword, Protocols, ScramKeys};

const IMAP: u32 = 1;
const POP3: u32 = 2;
const SUBMISSION: u32 = 4;

impl From<ScramKeys> for ScramState {
    fn from(keys: ScramKeys) -> Self {
        Self {
            salt: keys.salt,
            iterations: keys.iterations,
            sha1_stored: keys.sha1.stored,
            sha1_server: keys.sha1.server,
            sha256_stored: keys.sha256.stored,
            sha256_server: keys.sha256.server,
        }
    }
}

impl From<ScramState> for ScramKeys {
    fn from(state: ScramState) -> Self {
        Self {
            salt: state.salt,
            iterations: state.iterations,
            sha1: Keys { stored: state.sha1_stored, server: state.sha1_server },
            sha256: Keys { stored: state.sha256_stored, server: state.sha256_server },
        }
    }
}

impl From<AppPassword> for AppPasswordState {
    fn from(password: AppPassword) -> Self {
        let Protocols { imap, pop3, submission } = password.protocols;
        let bits = [(imap, IMAP), (pop3, POP3), (submission, SUBMISSION)];
        Self {
            name: password.name,
            digest: password.digest,
            scram: Some(password.scram.into()),
            protocols: bits.into_iter().filter(|(set, _)| *set).map(|(_, bit)| bit).sum(),
            created_at: password.created_at.as_second(),
        }
    }
}

impl From<AppPasswordState> for AppPassword {
    fn from(state: AppPasswordState) -> Self {
        let allows = |bit| state.protocols & bit != 0;
        Self {
            protocols: Protocols { imap: allows(IMAP), pop3: allows(POP3), submission: allows(SUBMISSION) },
            name: state.name,
            digest: state.digest,
            scram: state.scram.unwrap_or_default().into(),
            created_at: Timestamp::from_second(state.created_at).unwrap_or(Timestamp::MIN),
        }
    }
}
