//! Passwords: made up, asked for, read.

use std::io::{self, BufRead, IsTerminal, Write};

use rustix::termios::{self, LocalModes, OptionalActions, Termios};

use crate::failure::{Explain, Failure};

/// Letters and digits that are not mistaken for one another; 32 of them, so that each takes five bits of a random octet
/// without a bias.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const LENGTH: usize = 20;

/// A random password of 100 bits, in the form that can be typed and pasted anywhere.
pub(crate) fn generate() -> Result<String, Failure> {
    let mut octets = [0; LENGTH];
    rustls::crypto::aws_lc_rs::default_provider()
        .secure_random
        .fill(&mut octets)
        .map_err(|_| Failure::new("cannot make a password", "the system's random numbers failed"))?;
    Ok(octets.iter().map(|octet| char::from(ALPHABET[usize::from(octet % 32)])).collect())
}

/// Asks for a new password, on a terminal twice.
pub(crate) fn ask_for_new(address: &str) -> Result<String, Failure> {
    let password = read(address, &format!("New password for {address}: "))?;
    if io::stdin().is_terminal() && read(address, "Once more: ")? != password {
        return Err(Failure::new(format!("cannot use the new password for {address}"), "the two differ"));
    }
    Ok(password)
}

/// Asks for the password that an account has.
pub(crate) fn ask_for(address: &str) -> Result<String, Failure> {
    read(address, &format!("Password for {address}: "))
}

/// A hash as it was given, or for `-` from a line that is typed or piped in.
pub(crate) fn hash(given: String) -> Result<String, Failure> {
    if given != "-" {
        return Ok(given);
    }
    let what = || "cannot read the hash of the password".to_owned();
    let line = if io::stdin().is_terminal() { prompt("Hash: ") } else { read_line() };
    non_empty(line.explain(what)?, what)
}

/// Without echo from the terminal, or a line from standard input if that is no terminal.
fn read(address: &str, text: &str) -> Result<String, Failure> {
    let what = || format!("cannot read the password for {address}");
    let line = if io::stdin().is_terminal() { prompt(text) } else { read_line() };
    non_empty(line.explain(what)?, what)
}

fn non_empty(password: String, what: impl Fn() -> String) -> Result<String, Failure> {
    if password.is_empty() { Err(Failure::new(what(), "it is empty")) } else { Ok(password) }
}

fn prompt(text: &str) -> io::Result<String> {
    let mut terminal = io::stderr().lock();
    write!(terminal, "{text}")?;
    terminal.flush()?;
    let _silent = Silent::begin()?;
    let line = read_line();
    writeln!(terminal)?;
    line
}

fn read_line() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// While it lives, the terminal does not show what is typed.
struct Silent {
    before: Termios,
}

impl Silent {
    fn begin() -> io::Result<Self> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        termios::tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self { before })
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Flush, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_passwords_differ_and_hold_only_the_alphabet() {
        let (first, second) = (generate().unwrap(), generate().unwrap());
        assert_ne!(first, second);
        for password in [first, second] {
            assert_eq!(password.len(), LENGTH);
            assert!(password.bytes().all(|octet| ALPHABET.contains(&octet)), "{password}");
        }
    }
}
