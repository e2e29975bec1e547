//! `tripline call`: ask once, and print the answer.

use super::{node, read, unreachable};
use crate::args;
use crate::fail::{Fail, Result};
use crate::keys;
use futures_lite::future::or;
use std::io::{self, IsTerminal, Read, Write};
use std::time::{Duration, Instant};
use tripline::{Config, ConnectOptions};
use tripline_std::calls::{
    CallError, CallOptions, ClientOptions, Method, ReconnectPolicy, Retry, Wait, wait,
};
use tripline_tls::Tls;

/// How long a goodbye may take.
const FAREWELL: Duration = Duration::from_millis(500);

/// `tripline call`.
pub(crate) fn call(args: &args::Call, json: bool) -> Result {
    let payload = payload(args)?;
    let identity = args.identity.as_deref().map(keys::load).transpose()?;
    let calls = node(Config { identity, ..Config::client() }, tls(args)?)?;
    let begun = Instant::now();
    let options = ClientOptions {
        reconnect: ReconnectPolicy { give_up_after: Some(args.timeout), ..Default::default() },
        trip: ConnectOptions { deadline: args.timeout, ..ConnectOptions::default() },
        config: None,
    };
    let failed_to = |error| unreachable("cannot call", &args.address, &error);
    let caller = calls.connect(&args.address, options).map_err(failed_to)?;
    let retry = if args.idempotent { Retry::Idempotent } else { Retry::Never };
    let options = CallOptions { deadline: Wait::For(args.timeout), retry, ..Default::default() };
    let method = method(&args.method)?;
    let mut parts = caller.items(&method, payload, options);
    let mut output = Output { json, as_json: args.format == args::Format::Json };
    if !args.idempotent {
        // Who cannot be reached is told at once; how long that may take the call itself knows.
        let (mut next, attempted) = (None, async { Some(caller.attempted().await) });
        let attempt = wait(or(attempted, async {
            next = Some(parts.next().await);
            None
        }));
        if let Some(attempt) = attempt {
            attempt.map_err(failed_to)?;
        }
        if let Some(Some(part)) = next {
            output.write("part", &part, begun)?;
        }
    }
    while let Some(part) = wait(parts.next()) {
        output.write("part", &part, begun)?;
    }
    let end = wait(parts.end());
    let written = match end {
        Ok(answer) => output.write("answer", &answer, begun),
        Err(error) => Err(failed(&args.address, &error)),
    };
    // The server need not find out by our silence.
    wait(caller.close(FAREWELL));
    written
}

/// A number behind `#`, or a name.
fn method(text: &str) -> Result<Method> {
    match text.strip_prefix('#').map(str::parse) {
        None => Ok(Method::Name(text.into())),
        Some(Ok(number)) => Ok(Method::Number(number)),
        Some(Err(_)) => Err(Fail::usage(format_args!("{text} is no number from #0 to #65535"))),
    }
}

/// What secures `tls://`: a certificate that is verified, unless that is waived in words.
fn tls(args: &args::Call) -> Result<Option<Tls>> {
    let is_tls = args.address.starts_with("tls://");
    match (&args.tls_ca, args.insecure) {
        (Some(file), _) => {
            let pem = read(file)?;
            let tls = Tls::client_of_pem(&pem)
                .map_err(|error| Fail::local(format_args!("{}: {}", file.display(), error.text)))?;
            Ok(Some(tls))
        }
        (None, true) => Ok(Some(Tls::client_of_anyone())),
        (None, false) if is_tls => Err(Fail::usage(
            "tls:// needs --tls-ca FILE to know the server by, or --insecure to trust anyone",
        )),
        (None, false) => Ok(None),
    }
}

/// What is sent: the argument, a file, or standard input.
fn payload(args: &args::Call) -> Result<Vec<u8>> {
    let bytes = match args.payload.as_deref() {
        Some("-") => standard_input()?,
        Some(text) => match text.strip_prefix('@') {
            Some(file) => read(file.as_ref())?,
            None => text.as_bytes().to_vec(),
        },
        None if io::stdin().is_terminal() => Vec::new(),
        None => standard_input()?,
    };
    if args.format == args::Format::Json {
        // What is no JSON is found here, not by the server.
        let checked: std::result::Result<&serde_json::value::RawValue, _> =
            serde_json::from_slice(&bytes);
        checked.map_err(|error| Fail::usage(format_args!("the payload is no JSON: {error}")))?;
    }
    Ok(bytes)
}

fn standard_input() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin()
        .read_to_end(&mut bytes)
        .map_err(|error| Fail::io("cannot read standard input", &error))?;
    Ok(bytes)
}

/// How a call ended that has no answer. That the server said no is no fault of the way to it.
fn failed(address: &str, error: &CallError) -> Fail {
    let text = format!("{address}: {error}");
    if error.code().is_some() { Fail::local(text) } else { Fail::network(text) }
}

/// Where answers go.
struct Output {
    json: bool,
    as_json: bool,
}

impl Output {
    fn write(&mut self, what: &str, bytes: &[u8], begun: Instant) -> Result {
        let mut out = io::stdout().lock();
        let text = if self.json || self.as_json {
            let line = self.line(what, bytes, begun)?;
            format!("{line}\n").into_bytes()
        } else {
            bytes.to_vec()
        };
        out.write_all(&text).and_then(|()| out.flush()).map_err(|error| Fail::output(&error))
    }

    /// The answer alone as JSON, or with what is to be said of it.
    fn line(&self, what: &str, bytes: &[u8], begun: Instant) -> Result<serde_json::Value> {
        let value = match (self.as_json, std::str::from_utf8(bytes)) {
            (true, _) => serde_json::from_slice(bytes)
                .map_err(|error| Fail::network(format_args!("the answer is no JSON: {error}")))?,
            (false, Ok(text)) => serde_json::Value::from(text),
            (false, Err(_)) => {
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                serde_json::json!({ "hex": hex })
            }
        };
        if !self.json {
            return Ok(value);
        }
        let ms = begun.elapsed().as_secs_f64() * 1_000.0;
        Ok(serde_json::json!({"event": what, "bytes": bytes.len(), "ms": ms, "value": value}))
    }
}
