//! Configuration: one TOML file, environment overrides, and the sections that services share.
//!
//! The effective configuration is the defaults, then the file, then the environment. A key that the program does not
//! know is an error that names the file, the line and the key: a misspelt limit must not silently be the default.

mod load;
mod sections;
mod units;

pub use load::{ConfigError, load, load_with, print};
pub use sections::{
    DnsConfig, GrpcConfig, HttpConfig, LogConfig, LogFormat, PeerConfig, RuntimeConfig, TlsConfig,
};
pub use units::{ByteSize, HumanDuration, ParseUnitError};

#[cfg(test)]
mod tests;
