//! `tripline keygen` and `tripline pubkey`: keys in their printable form.

use crate::figures::{CliError, new_key, say, while_doing};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write, stdin};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use tripline::SecretKey;

/// Arguments of `keygen`.
#[derive(clap::Args)]
pub(crate) struct KeygenArgs {
    /// Where the secret key goes, readable by its owner only; stdout if left out. An existing file
    /// is never overwritten.
    file: Option<PathBuf>,
    /// Prints a JSON object.
    #[arg(long)]
    json: bool,
}

/// Arguments of `pubkey`.
#[derive(clap::Args)]
pub(crate) struct PubkeyArgs {
    /// A file with a secret key; stdin if left out or `-`.
    file: Option<PathBuf>,
    /// Prints a JSON object.
    #[arg(long)]
    json: bool,
}

/// Makes a key. With a file the public key goes to stdout, else the secret one.
pub(crate) fn keygen(args: &KeygenArgs) -> Result<(), CliError> {
    let key = new_key("keygen")?;
    let public = key.public_key().to_string();
    match &args.file {
        Some(path) => {
            write_secret(path, &key)?;
            print(args.json, &[("public", &public), ("file", &path.display().to_string())], &public)
        }
        None => {
            let secret = key.to_text();
            print(args.json, &[("secret", &secret), ("public", &public)], &secret)
        }
    }
}

/// Prints the public key of a secret one.
pub(crate) fn pubkey(args: &PubkeyArgs) -> Result<(), CliError> {
    let key = match args.file.as_deref().filter(|path| *path != Path::new("-")) {
        Some(path) => read_secret(path)?,
        None => {
            let mut text = String::new();
            stdin().take(1_024).read_to_string(&mut text).map_err(while_doing("stdin"))?;
            parse_secret(&text, "stdin")?
        }
    };
    let public = key.public_key().to_string();
    print(args.json, &[("public", &public)], &public)
}

fn print(json: bool, fields: &[(&str, &str)], plain: &str) -> Result<(), CliError> {
    if json {
        let object: serde_json::Map<_, _> =
            fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        say(serde_json::Value::Object(object))
    } else {
        say(plain)
    }
}

fn write_secret(path: &Path, key: &SecretKey) -> Result<(), CliError> {
    let at = || format!("writing the key to {}", path.display());
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| while_doing(&at())(error))?;
    writeln!(file, "{}", key.to_text().as_str()).and_then(|()| file.sync_all()).map_err(|error| {
        // Half a key is none, and would be in the way of the next attempt.
        let _ = fs::remove_file(path);
        while_doing(&at())(error)
    })
}

/// The secret key in a file.
pub(crate) fn read_secret(path: &Path) -> Result<SecretKey, CliError> {
    let name = path.display().to_string();
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(1_024).read_to_string(&mut text))
        .map_err(while_doing(&format!("reading the key from {name}")))?;
    parse_secret(&text, &name)
}

fn parse_secret(text: &str, place: &str) -> Result<SecretKey, CliError> {
    text.trim().parse().map_err(while_doing(&format!("the key from {place}")))
}
