mod capabilities;
mod client;
mod conversations;
mod encryption;
