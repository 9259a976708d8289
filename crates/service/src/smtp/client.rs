//! The client's driver: one connection to a server, and messages over it.
