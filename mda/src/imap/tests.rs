mod client;
mod conversations;
mod encryption;
