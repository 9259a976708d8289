//! Real servers and clients over real sockets, with certificates made for each test.

mod access;
mod balance;
mod deadline;
mod drain;
mod handshake;
mod inspection;
mod metadata;
mod node;
