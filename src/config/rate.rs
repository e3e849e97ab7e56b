//! How often something may be done.

use std::{fmt, num::NonZeroU32, time::Duration};

use toml::Value;

use super::value::Shown;

/// So many in a span of time: `50/s`, `600/m`, `10000/h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    count: NonZeroU32,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Second,
    Minute,
    Hour,
}

const MOST: u32 = 1_000_000;

impl Rate {
    /// So many a minute.
    pub const fn per_minute(count: NonZeroU32) -> Self {
        let unit = Unit::Minute;
        Self { count, unit }
    }

    /// Reads a number from 1 to 1 000 000, a `/`, and `s`, `m` or `h`.
    ///
    /// # Errors
    /// A sentence that shows the text and what a good one looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let read = || {
            let (count, unit) = text.split_once('/')?;
            let unit = match unit {
                "s" => Unit::Second,
                "m" => Unit::Minute,
                "h" => Unit::Hour,
                _ => return None,
            };
            let plain = count.bytes().all(|byte| byte.is_ascii_digit());
            let count = count.parse::<u32>().ok().filter(|it| plain && *it <= MOST);
            let count = NonZeroU32::new(count?)?;
            Some(Self { count, unit })
        };
        read().ok_or_else(|| {
            format!(
                r#"{text:?} is not a rate; write for instance "50/s", "600/m" or "10000/h", each from 1 to {MOST}"#
            )
        })
    }

    /// How many.
    pub fn count(self) -> NonZeroU32 {
        self.count
    }

    /// In how long.
    pub fn window(self) -> Duration {
        Duration::from_secs(match self.unit {
            Unit::Second => 1,
            Unit::Minute => 60,
            Unit::Hour => 3600,
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Second => 's',
            Unit::Minute => 'm',
            Unit::Hour => 'h',
        };
        write!(f, "{}/{unit}", self.count)
    }
}

/// The section `[app.limits]`: what an app sets in place of `[server.limits]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AppLimits {
    /// Requests with one of its keys, or with what was got for it.
    pub requests_per_key: Option<Rate>,
    /// Requests of the devices of one of its users.
    pub requests_per_user: Option<Rate>,
}

/// A rate in quotes.
pub(super) fn rate(value: &Value) -> Result<Rate, String> {
    match value {
        Value::String(text) => Rate::parse(text),
        other => Err(format!(
            r#"{} has no unit of time; write for instance "50/s" or "600/m""#,
            Shown(other)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_they_are_written() {
        for (text, secs) in [("50/s", 1), ("600/m", 60), ("1/h", 3600), ("1000000/s", 1)] {
            let rate = Rate::parse(text).unwrap();
            assert_eq!(rate.to_string(), text);
            assert_eq!(rate.window(), Duration::from_secs(secs));
        }
        for bad in [
            "",
            "5",
            "/s",
            "0/s",
            "-1/s",
            "+5/s",
            "5/d",
            "5/ s",
            "1000001/s",
            "1.5/s",
            "5/s/s",
        ] {
            assert!(Rate::parse(bad).is_err(), "{bad}");
        }
    }
}
