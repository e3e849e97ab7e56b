//! Single values: text in, typed value out, or a sentence that says what to write instead.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    time::Duration,
};

use ipnet::IpNet;
use toml::Value;
use url::Url;

/// Reads a span of time: one or more whole numbers, each with its unit, `ms`, `s`, `m`, `h` or `d` (of 24 hours),
/// the greater unit first: `5s`, `250ms`, `1h30m`.
///
/// # Errors
/// A sentence that shows the text and what a good one looks like.
pub fn duration(text: &str) -> Result<Duration, String> {
    let bad =
        || format!(r#"{text:?} is not a duration; write for instance "5s", "15m", "12h" or "30d""#);
    let mut rest = text;
    let mut total_millis: u64 = 0;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() || last_unit == u64::MAX {
        let (number, after) = leading_number(rest).ok_or_else(bad)?;
        let letters = after.find(|c: char| c.is_ascii_digit());
        let (unit, after) = after.split_at(letters.unwrap_or(after.len()));
        let unit_millis = unit_millis(unit)
            .filter(|millis| *millis < last_unit)
            .ok_or_else(bad)?;
        total_millis = number
            .checked_mul(unit_millis)
            .and_then(|part| part.checked_add(total_millis))
            .ok_or_else(bad)?;
        last_unit = unit_millis;
        rest = after;
    }
    Ok(Duration::from_millis(total_millis))
}

/// Reads a size in bytes: a whole number, alone or with `B`, `KiB`, `MiB` or `GiB` (of 1024 each): `64KiB`.
///
/// # Errors
/// A sentence that shows the text and what a good one looks like.
pub fn size(text: &str) -> Result<u64, String> {
    let bytes = leading_number(text).and_then(|(number, unit)| {
        let shift = match unit.trim_start() {
            "" | "B" => 0,
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            _ => return None,
        };
        number.checked_mul(1 << shift)
    });
    bytes.ok_or_else(|| {
        format!(r#"{text:?} is not a size; write for instance "64KiB", "4MiB", "1GiB" or 65536"#)
    })
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

fn unit_millis(unit: &str) -> Option<u64> {
    match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        "d" => Some(86_400_000),
        _ => None,
    }
}

/// A text that is not empty.
pub(super) fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Ok(text.clone()),
        Value::String(_) => Err("is empty; write a text, or leave the key out".into()),
        other => Err(format!("{} is not a text in quotes", Shown(other))),
    }
}

/// `true` or `false`.
pub(super) fn flag(value: &Value) -> Result<bool, String> {
    match value {
        Value::Boolean(flag) => Ok(*flag),
        other => Err(format!(
            "{} is not a flag; write true or false",
            Shown(other)
        )),
    }
}

/// One of a few names.
pub(super) fn choice<T: Copy>(
    options: &'static [(&'static str, T)],
) -> impl Fn(&Value) -> Result<T, String> {
    move |value| {
        let wanted = value.as_str();
        let found = options.iter().find(|(name, _)| Some(*name) == wanted);
        found.map(|(_, option)| *option).ok_or_else(|| {
            let names: Vec<String> = options
                .iter()
                .map(|(name, _)| format!("{name:?}"))
                .collect();
            format!(
                "{} is not known; write {}",
                Shown(value),
                names.join(" or ")
            )
        })
    }
}

/// A whole number within `range`. Digits in quotes are one too, since the environment has nothing else.
pub(super) fn count<T: TryFrom<u64>>(
    range: RangeInclusive<u64>,
) -> impl Fn(&Value) -> Result<T, String> {
    move |value| {
        let number = match value {
            Value::Integer(number) => u64::try_from(*number).ok(),
            Value::String(digits) => digits.parse().ok(),
            _ => None,
        };
        number
            .filter(|number| range.contains(number))
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| {
                format!(
                    "{} is not a whole number from {} to {}",
                    Shown(value),
                    range.start(),
                    range.end()
                )
            })
    }
}

/// A size within `range`, in bytes; a number is bytes.
pub(super) fn bytes<T: TryFrom<u64>>(
    range: RangeInclusive<u64>,
) -> impl Fn(&Value) -> Result<T, String> {
    move |value| {
        let number = match value {
            Value::Integer(number) => u64::try_from(*number).map_err(|_| {
                format!("{number} is not a size; write a number of bytes from 0 on")
            })?,
            Value::String(text) => size(text)?,
            other => {
                return Err(format!(
                    r#"{} is not a size; write for instance "64KiB" or 65536"#,
                    Shown(other)
                ));
            }
        };
        Some(number)
            .filter(|number| range.contains(number))
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| {
                let (least, most) = (range.start(), range.end());
                format!(
                    "{} is out of range; write {least} to {most} bytes",
                    Shown(value)
                )
            })
    }
}

/// A span of time within `range`.
pub(super) fn span(range: RangeInclusive<Duration>) -> impl Fn(&Value) -> Result<Duration, String> {
    move |value| {
        let span = match value {
            Value::String(text) => duration(text)?,
            other => {
                return Err(format!(
                    r#"{} has no unit; write for instance "5s", "15m" or "30d""#,
                    Shown(other)
                ));
            }
        };
        if range.contains(&span) {
            return Ok(span);
        }
        let (least, most) = (Span(*range.start()), Span(*range.end()));
        Err(format!(
            "{} is out of range; write {least} to {most}",
            Shown(value)
        ))
    }
}

/// An address with a port.
pub(super) fn address(value: &Value) -> Result<SocketAddr, String> {
    value
        .as_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| {
            format!(
                r#"{} is not an address with a port; write for instance "127.0.0.1:8480" or "[::]:8480""#,
                Shown(value)
            )
        })
}

/// An address, or a network of them.
pub(super) fn network(value: &Value) -> Result<IpNet, String> {
    let text = value.as_str().unwrap_or_default();
    let one = text.parse().map(|address: IpAddr| IpNet::from(address));
    one.or_else(|_| text.parse()).map_err(|_| {
        format!(
            r#"{} is not an address or a network; write for instance "127.0.0.1" or "10.0.0.0/8""#,
            Shown(value)
        )
    })
}

const HUB: &str = "https://hub.example.com";

/// What the hub's own links begin with.
pub(super) fn public_url(value: &Value) -> Result<Url, String> {
    plain_url(value, (&["https", "http"], HUB))
}

/// Where a push service, or what stands in for it, is reached: credentials go there, so never without TLS.
pub(super) fn service_url(value: &Value) -> Result<Url, String> {
    plain_url(value, (&["https"], HUB))
}

/// Where an identity provider shows its keys.
pub(super) fn key_set_url(value: &Value) -> Result<Url, String> {
    plain_url(value, (&["https"], "https://id.example.com/jwks"))
}

/// A URL with a host and a path at most. What is wrong with it is said without showing it: it may hold a password.
fn plain_url(value: &Value, (schemes, good): (&[&str], &str)) -> Result<Url, String> {
    let begin = schemes.join(":// or ");
    let bad = |what: &str| format!("{what}; write for instance \"{good}\"");
    let url = Url::parse(&text(value)?).map_err(|_| bad("is not a URL"))?;
    if !schemes.contains(&url.scheme()) || !url.has_host() {
        return Err(bad(&format!("does not begin with {begin}:// and a host")));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("holds a user name or a password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("holds a query or a fragment"));
    }
    Ok(url)
}

/// A list, each entry read by `read`; the first bad one is the fault.
pub(super) fn list<T>(
    read: impl Fn(&Value) -> Result<T, String>,
) -> impl Fn(&Value) -> Result<Vec<T>, String> {
    move |value| match value {
        Value::Array(entries) => entries.iter().map(&read).collect(),
        other => Err(format!(
            r#"{} is not a list; write for instance ["…", "…"]"#,
            Shown(other)
        )),
    }
}

/// A value as a message shows it: short, and on one line.
pub(super) struct Shown<'a>(pub(super) &'a Value);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 60;
        match self.0 {
            Value::String(text) if text.chars().count() > LONGEST => {
                write!(f, "a text of {} bytes", text.len())
            }
            Value::String(text) => write!(f, "{text:?}"),
            Value::Integer(number) => number.fmt(f),
            Value::Float(number) => number.fmt(f),
            Value::Boolean(flag) => flag.fmt(f),
            Value::Datetime(_) => f.write_str("a date"),
            Value::Array(_) => f.write_str("a list"),
            Value::Table(_) => f.write_str("a section"),
        }
    }
}

/// A span of time as the config writes it.
struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        let units = [
            ("d", 86_400_000),
            ("h", 3_600_000),
            ("m", 60_000),
            ("s", 1000),
        ];
        let whole = units
            .into_iter()
            .find(|(_, unit)| millis >= *unit && millis.is_multiple_of(*unit));
        match whole {
            Some((name, unit)) => write!(f, "{}{name}", millis / unit),
            None if millis == 0 => f.write_str("0s"),
            None => write!(f, "{millis}ms"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check = |input: &str, millis: Option<u64>| {
            let expected = millis.map(Duration::from_millis);
            assert_eq!(duration(input).ok(), expected, "{input}");
        };
        check("5s", Some(5000));
        check("0s", Some(0));
        check("250ms", Some(250));
        check("15m", Some(900_000));
        check("12h", Some(43_200_000));
        check("30d", Some(2_592_000_000));
        check("1h30m", Some(5_400_000));
        for bad in [
            "",
            "5",
            "s",
            "5 s",
            "5 parsecs",
            "-5s",
            "1.5h",
            "30m1h",
            "1s1s",
            "5S",
            "5sm",
            "٣s",
            "99999999999999999999s",
            "999999999999999d",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn sizes() {
        let check = |input: &str, expected: Option<u64>| {
            assert_eq!(size(input).ok(), expected, "{input}");
        };
        check("0", Some(0));
        check("65536", Some(65_536));
        check("64KiB", Some(65_536));
        check("64 KiB", Some(65_536));
        check("4MiB", Some(4 << 20));
        check("1GiB", Some(1 << 30));
        check("7B", Some(7));
        for bad in [
            "",
            "KiB",
            "64kb",
            "64KB",
            "1.5MiB",
            "-1",
            "64KiB ",
            "99999999999GiB",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn ranges_are_said_in_the_words_of_the_config() {
        let check = |input: &str, expected: &str| {
            let range = Duration::from_millis(250)..=Duration::from_hours(24);
            let answer = span(range)(&Value::String(input.into()));
            assert_eq!(answer.unwrap_err(), expected, "{input}");
        };
        check("0s", r#""0s" is out of range; write 250ms to 1d"#);
        check("25h", r#""25h" is out of range; write 250ms to 1d"#);
    }

    #[test]
    fn a_url_with_a_password_is_refused_without_showing_it() {
        let answer = public_url(&Value::String("https://ada:hunter2@hub.example.com".into()));
        let reason = answer.unwrap_err();
        assert!(
            reason.contains("password") && !reason.contains("hunter2"),
            "{reason}"
        );
    }
}
