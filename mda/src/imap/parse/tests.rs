mod commands;
mod framing;
mod urls;
