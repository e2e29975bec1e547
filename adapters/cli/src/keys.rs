//! `keygen` and `pubkey`, and how keys are read from files.

use crate::args;
use crate::fail::{Fail, Result, print};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use tripline::SecretKey;
use zeroize::Zeroizing;

/// A key file is read up to here; a longer one is no key file.
const FILE_MAX: u64 = 4096;

/// `tripline keygen`.
pub(crate) fn keygen(args: &args::Keygen, json: bool) -> Result {
    let secret = generate()?;
    let public = secret.public_key().to_string();
    let Some(file) = &args.file else {
        let text = secret.to_text();
        if json {
            return print(serde_json::json!({"public": public, "secret": *text}));
        }
        // The secret is the output; the public key is for whoever looks on.
        print(&*text)?;
        let _ = writeln!(io::stderr(), "public key: {public}");
        return Ok(());
    };
    write(file, &secret, args.force)?;
    if json {
        print(serde_json::json!({"public": public, "file": file.to_string_lossy()}))
    } else {
        print(public)
    }
}

/// `tripline pubkey`.
pub(crate) fn pubkey(args: &args::Pubkey, json: bool) -> Result {
    let public = load(&args.file)?.public_key().to_string();
    if json { print(serde_json::json!({"public": public})) } else { print(public) }
}

/// A new key of the system's entropy.
pub(crate) fn generate() -> Result<SecretKey> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes)
        .map_err(|error| Fail::local(format_args!("no entropy: {error}")))?;
    Ok(SecretKey::from_bytes(*bytes))
}

/// The secret key in a file, or on standard input for `-`: its first line that is neither empty nor
/// a `#` comment.
pub(crate) fn load(file: &Path) -> Result<SecretKey> {
    let what = || format!("cannot read the secret key in {}", file.display());
    let mut text = Zeroizing::new(String::with_capacity(FILE_MAX as usize));
    let read = if file == Path::new("-") {
        io::stdin().take(FILE_MAX).read_to_string(&mut text)
    } else {
        File::open(file).and_then(|file| file.take(FILE_MAX).read_to_string(&mut text))
    };
    read.map_err(|error| Fail::io(what(), &error))?;
    let mut lines = text.lines().map(str::trim);
    let line = lines.find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or_default();
    line.parse().map_err(|error| Fail::local(format_args!("{}: {error}", what())))
}

/// Writes a key file that nobody else may read, and that is there whole or not at all.
fn write(file: &Path, secret: &SecretKey, force: bool) -> Result {
    let failed = |error: &io::Error| {
        let what = format!("cannot write the secret key to {}", file.display());
        match error.kind() {
            io::ErrorKind::AlreadyExists => Fail::local(format_args!(
                "{what}: the file exists, and its key would be lost; --force replaces it"
            )),
            _ => Fail::io(what, error),
        }
    };
    let fill = |path: &Path| {
        let mut open = OpenOptions::new();
        let mut out = open.write(true).create_new(true).mode(0o600).open(path)?;
        let text = secret.to_text();
        let written = out
            .write_all(text.as_bytes())
            .and_then(|()| out.write_all(b"\n"))
            .and_then(|()| out.sync_all());
        // A key that is cut off would look like one that was mistyped.
        written.inspect_err(|_| drop(fs::remove_file(path)))
    };
    if !force {
        return fill(file).map_err(|error| failed(&error));
    }
    // The new file comes first: an old one with looser permissions never holds the new key.
    let mut name = file.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".new-{}", std::process::id()));
    let fresh = file.with_file_name(name);
    fill(&fresh)
        .and_then(|()| fs::rename(&fresh, file).inspect_err(|_| drop(fs::remove_file(&fresh))))
        .map_err(|error| failed(&error))
}
