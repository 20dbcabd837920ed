//! The next time of a calendar in a zone: month, day, hour and minute are moved on until each fits, and looked at
//! again from the month on whenever one of them starts over.
//!
//! It goes the way of robfig/cron's `SpecSchedule.Next` step by step, so that it comes to the same times on the days on
//! which clocks are changed.

use super::{Calendar, Zone};

const HOUR: i64 = 3600;
const DAY: i64 = 86_400;
/// Later than this nothing is looked for.
const YEARS: i64 = 5;

/// What a calendar and a clock show at a moment.
#[derive(Clone, Copy)]
struct Shown {
    year: i64,
    month: u32,
    day: u32,
    hour: i64,
    minute: i64,
    second: i64,
    weekday: u32,
}

/// The first time after a moment.
pub(crate) fn next(calendar: &Calendar, after: i64, zone: &impl Zone) -> Option<i64> {
    let mut walk = Walk { at: after.checked_add(1)?, moved: false, zone };
    let last = walk.shown().year + YEARS;
    loop {
        if walk.shown().year > last {
            return None;
        }
        if walk.month(calendar) && walk.day(calendar) && walk.hour(calendar) && walk.minute(calendar) {
            if walk.at > after {
                return Some(walk.at);
            }
            // The begin of an hour that is shown twice was read as the first one, and a time before the moment fits.
            // On such a day robfig/cron answers with a time that has passed.
            walk.at += 60;
        }
    }
}

/// The way from a moment to the next that fits. Each step is false when it has come into the next larger unit.
struct Walk<'a, Z> {
    at: i64,
    /// Whether what is smaller than the unit that is moved stands at its beginning.
    moved: bool,
    zone: &'a Z,
}

impl<Z: Zone> Walk<'_, Z> {
    fn shown(&self) -> Shown {
        shown(self.at + i64::from(self.zone.offset(self.at)))
    }

    /// The moment at which clocks show this. One that they skip or show twice is read with the difference that holds
    /// a little before, as Go's `time.Date` does.
    fn moment(&self, year: i64, month: u32, day: i64, time: i64) -> i64 {
        let local = days(year, month) + day - 1;
        let local = local * DAY + time;
        let guess = local - i64::from(self.zone.offset(local));
        local - i64::from(self.zone.offset(guess))
    }

    fn month(&mut self, calendar: &Calendar) -> bool {
        while !calendar.month.has(self.shown().month) {
            let mut now = self.shown();
            if !self.moved {
                self.moved = true;
                self.at = self.moment(now.year, now.month, 1, 0);
                now = self.shown();
            }
            let (year, month) = if now.month == 12 { (now.year + 1, 1) } else { (now.year, now.month + 1) };
            self.at = self.moment(year, month, i64::from(now.day), now.time());
            if self.shown().month == 1 {
                return false;
            }
        }
        true
    }

    fn day(&mut self, calendar: &Calendar) -> bool {
        while !calendar.has_day(self.shown().day, self.shown().weekday) {
            let mut now = self.shown();
            if !self.moved {
                self.moved = true;
                self.at = self.moment(now.year, now.month, i64::from(now.day), 0);
                now = self.shown();
            }
            let before = self.at;
            self.at = self.moment(now.year, now.month, i64::from(now.day) + 1, now.time());
            // Where midnight does not exist, the day begins later or the moment is still the day before.
            match self.shown().hour {
                0 => {}
                hour if hour > 12 => self.at += (24 - hour) * HOUR,
                hour => self.at -= hour * HOUR,
            }
            // A whole day was left out (Apia, 2011), on which robfig/cron comes to no end.
            if self.at <= before {
                self.at = before + DAY;
            }
            if self.shown().day == 1 {
                return false;
            }
        }
        true
    }

    fn hour(&mut self, calendar: &Calendar) -> bool {
        while !calendar.hour.has(self.shown().hour as u32) {
            let now = self.shown();
            if !self.moved {
                self.moved = true;
                self.at = self.moment(now.year, now.month, i64::from(now.day), now.hour * HOUR);
            }
            self.at += HOUR;
            if self.shown().hour == 0 {
                return false;
            }
        }
        true
    }

    fn minute(&mut self, calendar: &Calendar) -> bool {
        while !calendar.minute.has(self.shown().minute as u32) {
            if !self.moved {
                self.moved = true;
                self.at -= self.at.rem_euclid(60);
            }
            self.at += 60;
            if self.shown().minute == 0 {
                return false;
            }
        }
        // There is no field of seconds: a minute is due when it begins.
        match self.shown().second {
            0 => true,
            second => {
                self.moved = true;
                self.at += 60 - second;
                false
            }
        }
    }
}

impl Shown {
    fn time(&self) -> i64 {
        self.hour * HOUR + self.minute * 60 + self.second
    }
}

/// What is shown at so many seconds after 1970 began there (the civil-from-days algorithm of H. Hinnant, which is in
/// the public domain).
fn shown(local: i64) -> Shown {
    let (days, time) = (local.div_euclid(DAY), local.rem_euclid(DAY));
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    // The year begins in March here.
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let calendar = if month < 10 { month + 3 } else { month - 9 };
    Shown {
        year: year + era * 400 + i64::from(calendar <= 2),
        month: calendar as u32,
        day: day as u32,
        hour: time / HOUR,
        minute: time % HOUR / 60,
        second: time % 60,
        weekday: (days + 4).rem_euclid(7) as u32,
    }
}

/// Days from 1970 to the first of a month.
fn days(year: i64, month: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month = i64::from(month);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}
