mod client;
mod conversations;
