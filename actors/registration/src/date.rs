//! Date header (RFC 3261 20.17): RFC 1123 form, always GMT.

/// The text of a moment, milliseconds since 1970.
pub fn http_date(unix_ms: u64) -> String {
    let seconds = unix_ms / 1_000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let mut text = String::with_capacity(29);
    text.push_str(WEEKDAYS[((days + 4) % 7) as usize]);
    text.push_str(", ");
    two_digits(&mut text, day);
    text.push(' ');
    text.push_str(MONTHS[month as usize - 1]);
    text.push(' ');
    two_digits(&mut text, year / 100);
    two_digits(&mut text, year % 100);
    for (before, number) in [(' ', second / 3_600), (':', second / 60 % 60), (':', second % 60)] {
        text.push(before);
        two_digits(&mut text, number);
    }
    text.push_str(" GMT");
    text
}

/// Formatting machinery would cost ten times as much, and every 200 has a date.
fn two_digits(text: &mut String, number: u64) {
    text.push((b'0' + (number / 10 % 10) as u8) as char);
    text.push((b'0' + (number % 10) as u8) as char);
}

/// Year, month and day of a number of days since 1970, by the Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    // Years that begin in March put the leap day at the end; 719,468 days lie between 0000-03-01 and 1970-01-01.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use super::http_date;

    #[test]
    fn dates() {
        for (unix_s, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (1_289_690_940, "Sat, 13 Nov 2010 23:29:00 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (1_767_225_600, "Thu, 01 Jan 2026 00:00:00 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        ] {
            assert_eq!(http_date(unix_s * 1_000 + 999), text);
        }
    }
}
