//! The contracts between Waypost's services, and the code generated from them.
//!
//! The `.proto` files under `proto/` are the documentation; this crate only gives them Rust names. It knows nothing of
//! the services.

// Generated code documents itself in the .proto files.
#![allow(missing_docs, unreachable_pub, clippy::pedantic, elided_lifetimes_in_paths, unused_qualifications)]

// The modules mirror the packages, because generated code refers from one to the other by that path.
mod waypost {
    pub mod mail {
        pub mod v1 {
            tonic::include_proto!("waypost.mail.v1");
        }
    }
    pub mod msa {
        pub mod v1 {
            tonic::include_proto!("waypost.msa.v1");
        }
    }
    pub mod mta {
        pub mod v1 {
            tonic::include_proto!("waypost.mta.v1");
        }
    }
    pub mod mda {
        pub mod v1 {
            tonic::include_proto!("waypost.mda.v1");
        }
    }
}

/// Envelopes, recipients and replies: what all services share.
pub use waypost::mail::v1 as mail;
/// The MDA: `Delivery`, `Directory`, `Mailbox` and `Store`.
pub use waypost::mda::v1 as mda;
/// The MSA: `Submission`.
pub use waypost::msa::v1 as msa;
/// The MTA: `Transfer`, `Queue` and `Events`.
pub use waypost::mta::v1 as mta;

/// The encoded `FileDescriptorSet` of all contracts, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/waypost.bin"));
