mod commands;
mod framing;
