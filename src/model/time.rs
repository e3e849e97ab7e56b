//! Moments and spans, as values; `crate::clock` is what asks for them.

use std::{fmt, str::FromStr, time::Duration};

/// A moment in UTC, in whole milliseconds since the UNIX epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

/// How far ahead something may be noted that was noted by a clock that was right: after a kill the hub goes on from the
/// time that the store was told last, which is minutes old.
const AHEAD: Duration = Duration::from_secs(300);

impl Timestamp {
    /// The earliest moment that there is: 1970-01-01.
    pub const EPOCH: Self = Self(0);

    /// The latest moment that there is: 9999-12-31, which RFC 3339 can still write.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// From milliseconds since the epoch; later than [`Timestamp::MAX`] is cut to it.
    pub fn from_millis(millis: u64) -> Self {
        Self(millis).min(Self::MAX)
    }

    /// Milliseconds since the epoch.
    pub fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// The moment `span` later.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(millis(span)))
    }

    /// The moment `span` earlier, at the earliest the epoch.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }

    /// Whether something that has happened was noted in a time that has not come: the clock had leapt, and the leap was
    /// undone.
    pub fn is_to_come(self, now: Self) -> bool {
        self > now.plus(AHEAD)
    }

    /// From when on it is not [to come](Self::is_to_come) any more, but near.
    pub fn nears(self) -> Self {
        self.minus(AHEAD)
    }

    /// How long after `earlier` this is; nothing if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Writes RFC 3339 in UTC with milliseconds: `2026-11-24T12:03:07.120Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = i64::try_from(self.0)
            .ok()
            .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok())
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        write!(f, "{}", moment.strftime("%Y-%m-%dT%H:%M:%S.%3fZ"))
    }
}

impl FromStr for Timestamp {
    type Err = String;

    /// Reads RFC 3339 (section 5.6): a date, a time and an offset, `Z` or of hours and minutes.
    ///
    /// # Errors
    /// A sentence that says what a good time looks like.
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            String::from(
                "is not an RFC 3339 time in UTC such as 2026-11-24T12:00:00Z, from 1970 on",
            )
        };
        // The library reads many more forms.
        let moment = Some(text)
            .filter(|text| is_rfc_3339(text))
            .and_then(|text| to_nanoseconds(text).parse::<jiff::Timestamp>().ok())
            .ok_or_else(bad)?;
        u64::try_from(moment.as_millisecond())
            .map(Self::from_millis)
            .map_err(|_| bad())
    }
}

/// The same with at most nine digits of a second's fraction: the standard allows any number, the library takes nine.
fn to_nanoseconds(text: &str) -> String {
    let (moment, rest) = text.split_once('.').unwrap_or((text, ""));
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    if digits <= 9 {
        return text.to_owned();
    }
    format!("{moment}.{}{}", &rest[..9], &rest[digits..])
}

fn is_rfc_3339(text: &str) -> bool {
    let shape = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text
                .bytes()
                .zip(shape.bytes())
                .all(|(byte, like)| match like {
                    b'0' => byte.is_ascii_digit(),
                    like => byte.eq_ignore_ascii_case(&like),
                })
    };
    let Some((moment, rest)) = text.split_at_checked("2026-11-24T12:00:00".len()) else {
        return false;
    };
    let offset = match rest.strip_prefix('.') {
        Some(fraction) => {
            let offset = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if offset.len() == fraction.len() {
                return false;
            }
            offset
        }
        None => rest,
    };
    let fits = shape(offset, "Z") || shape(offset, "+00:00") || shape(offset, "-00:00");
    shape(moment, "0000-00-00T00:00:00") && fits
}

/// How long a displayed notification stays on the screen: 1 to 2 147 483 647 seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ttl(u32);

impl Ttl {
    /// Checks the range.
    pub fn from_secs(secs: i64) -> Option<Self> {
        u32::try_from(secs)
            .ok()
            .filter(|secs| (1..=i32::MAX as u32).contains(secs))
            .map(Self)
    }

    /// The whole seconds.
    pub fn as_secs(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_rfc_3339() {
        let check = |input: &str, expected: &str| {
            assert_eq!(
                input.parse::<Timestamp>().unwrap().to_string(),
                expected,
                "{input}"
            );
        };
        check("2026-11-24T12:03:07.12Z", "2026-11-24T12:03:07.120Z");
        check("2026-11-24T12:03:07+02:00", "2026-11-24T10:03:07.000Z");
        check(
            "2026-11-24T12:03:07.1239999999999999Z",
            "2026-11-24T12:03:07.123Z",
        );
        check(
            "2026-11-24T12:03:07.1234567890+02:00",
            "2026-11-24T10:03:07.123Z",
        );
        check("2019-10-30T23:59:00.000Z", "2019-10-30T23:59:00.000Z");
        check("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn refuses_what_is_no_time() {
        for input in [
            "",
            "now",
            "2026-13-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "12",
            "2026-11-24",
            "2026-11-24T12:03:07",
            "20261124T120307Z",
            "2026-11-24T12:03:07.Z",
            "2026-11-24T12:03:07Z[UTC]",
            "2026-11-24T12:03:07+0200",
        ] {
            assert!(input.parse::<Timestamp>().is_err(), "{input}");
        }
    }
}
