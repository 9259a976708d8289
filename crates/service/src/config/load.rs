//! Reading: defaults, then the file, then the environment.

use std::{fs, io, path::Path};

use serde::{Serialize, de::DeserializeOwned};
use toml::{Table, Value};

/// A configuration that cannot be used; one line that says where and why.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read configuration {path}: {error}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// The file is not TOML, holds an unknown key, or a value of the wrong type.
    #[error("{path}:{line}: {message}")]
    File {
        /// The file.
        path: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong, with the key where there is one.
        message: String,
    },
    /// An environment variable that names no key, or holds a value of the wrong type.
    #[error("environment variable {variable}: {message}")]
    Environment {
        /// Its name.
        variable: String,
        /// What is wrong.
        message: String,
    },
    /// The configuration cannot be written as TOML.
    #[error("cannot write the configuration as TOML: {0}")]
    Print(#[from] toml::ser::Error),
}

/// Loads a service's configuration from `path` and from environment variables
/// `WAYPOST_<SERVICE>__<SECTION>__<KEY>`, such as `WAYPOST_MSA__GRPC__LISTEN=127.0.0.1:7587`.
///
/// A variable's value is read as a TOML value (number, boolean, array, …) if it is one and the key takes it, else as
/// a string.
pub fn load<T>(path: &Path, service: &str) -> Result<T, ConfigError>
where
    T: Default + Serialize + DeserializeOwned,
{
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    load_with(path, service, variables)
}

/// As [`load`], with the environment given.
pub fn load_with<T>(
    path: &Path,
    service: &str,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<T, ConfigError>
where
    T: Default + Serialize + DeserializeOwned,
{
    let text = fs::read_to_string(path)
        .map_err(|error| ConfigError::Read { path: path.display().to_string(), error })?;
    // The text itself is read first, because only then an error knows its line.
    toml::from_str::<T>(&text).map_err(|error| at_line(path, &text, &error))?;
    let file = toml::from_str::<Table>(&text).map_err(|error| at_line(path, &text, &error))?;

    let mut table = Table::try_from(T::default())?;
    merge(&mut table, file);
    let mut config = from_table(&table).map_err(|error| at_line(path, &text, &error))?;
    for (variable, key, value) in overrides(service, variables) {
        (table, config) = override_key(&table, &key, &value)
            .map_err(|message| ConfigError::Environment { variable, message })?;
    }
    Ok(config)
}

/// The effective configuration as TOML. Values whose key speaks of a secret are masked.
pub fn print<T: Serialize>(config: &T) -> Result<String, ConfigError> {
    let mut table = Table::try_from(config)?;
    mask_secrets(&mut table);
    Ok(toml::to_string(&table)?)
}

/// Writes `over` into `base`, table by table; everything else is replaced whole.
fn merge(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(base)), Value::Table(over)) => merge(base, over),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// The variables meant for this service, in a fixed order, with the path of the key each one sets.
fn overrides(
    service: &str,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Vec<(String, Vec<String>, String)> {
    let prefix = format!("WAYPOST_{}__", service.to_uppercase().replace('-', "_"));
    let mut found: Vec<_> = variables
        .into_iter()
        .filter_map(|(variable, value)| {
            let key = variable.strip_prefix(&prefix)?.split("__").map(str::to_lowercase).collect();
            Some((variable, key, value))
        })
        .collect();
    found.sort();
    found
}

/// The table and configuration with one key set from text.
fn override_key<T: DeserializeOwned>(
    table: &Table,
    key: &[String],
    text: &str,
) -> Result<(Table, T), String> {
    let with = |value: Value| {
        let mut table = table.clone();
        set(&mut table, key, value)?;
        let config = from_table(&table).map_err(|error| error.message().to_owned())?;
        Ok((table, config))
    };
    let as_text = || with(Value::String(text.to_owned()));
    match toml_value(text) {
        // A key that takes strings takes `123` and `true` as such.
        Some(value) => with(value).or_else(|error| as_text().map_err(|_: String| error)),
        None => as_text(),
    }
}

fn toml_value(text: &str) -> Option<Value> {
    let mut table = toml::from_str::<Table>(&format!("value = {text}")).ok()?;
    // More keys would be text that merely looks like TOML, with a line end in it.
    let value = table.remove("value")?;
    table.is_empty().then_some(value)
}

fn set(table: &mut Table, key: &[String], value: Value) -> Result<(), String> {
    match key {
        [] => Err("no key is named".to_owned()),
        [last] => {
            table.insert(last.clone(), value);
            Ok(())
        }
        [section, rest @ ..] => {
            match table.entry(section.clone()).or_insert_with(|| Value::Table(Table::new())) {
                Value::Table(inner) => set(inner, rest, value),
                _ => Err(format!("`{section}` is not a section")),
            }
        }
    }
}

fn from_table<T: DeserializeOwned>(table: &Table) -> Result<T, toml::de::Error> {
    table.clone().try_into()
}

fn at_line(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let start = error.span().map_or(0, |span| span.start);
    let line = 1 + text.bytes().take(start).filter(|byte| *byte == b'\n').count();
    ConfigError::File { path: path.display().to_string(), line, message: error.message().replace('\n', ", ") }
}

fn mask_secrets(table: &mut Table) {
    for (key, value) in table {
        match value {
            Value::Table(inner) => mask_secrets(inner),
            Value::Array(items) => {
                items.iter_mut().filter_map(Value::as_table_mut).for_each(mask_secrets);
            }
            Value::String(text) if is_secret(key) && !text.is_empty() => "********".clone_into(text),
            _ => {}
        }
    }
}

fn is_secret(key: &str) -> bool {
    ["password", "secret", "token"].iter().any(|word| key.ends_with(word))
}
