mod appending;
mod capabilities;
mod client;
mod connection;
mod conversations;
mod encryption;
mod metadata;
mod ordering;
