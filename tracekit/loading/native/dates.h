// Dates as text, as ../otlp/times.py reads them, to nanoseconds.
#pragma once

#include <cstdint>
#include <cstring>

#include "json.h"
#include "members.h"

namespace tracekit {

class Dates {
 public:
  // Nanoseconds since 1970 of a date in UTC, in the years 2002 to 2261; others are odd.
  std::int64_t nanoseconds(const Text& text) {
    if (text.length <= SECONDS || text.length > SECONDS + 11 || text.at[text.length - 1] != 'Z') odd();
    if (std::memcmp(text.at, known_, MINUTE)) {  // most dates are in the minute of the one before
      minute_ = minute(text.at);
      std::memcpy(known_, text.at, MINUTE);
    }
    const int second = two_digits(text.at + MINUTE + 1);
    if (text.at[MINUTE] != ':' || second > 59) odd();
    return (minute_ * 60 + second) * 1'000'000'000 + fraction(text.at + SECONDS, text.length - SECONDS - 1);
  }

 private:
  static constexpr std::uint32_t MINUTE = 16, SECONDS = 19;  // characters up to there

  static int two_digits(const Byte* p) {
    if (!is_digit(p[0]) || !is_digit(p[1])) odd();
    return (p[0] - '0') * 10 + (p[1] - '0');
  }

  // Minutes since 1970.
  static std::int64_t minute(const Byte* p) {
    if (p[4] != '-' || p[7] != '-' || p[10] != 'T' || p[13] != ':') odd();
    const int year = two_digits(p) * 100 + two_digits(p + 2), month = two_digits(p + 5), day = two_digits(p + 8);
    const int hour = two_digits(p + 11), of_hour = two_digits(p + 14);
    static constexpr int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (year < 2002 || year > 2261 || month < 1 || month > 12 || day < 1 || hour > 23 || of_hour > 59) odd();
    const bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (day > DAYS[month - 1] + (month == 2 && is_leap)) odd();
    // days since 1970, of years that begin in March (Howard Hinnant's chrono-compatible algorithm)
    const int y = year - (month <= 2), era = y / 400, of_era = y - era * 400;
    const int of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    const std::int64_t days = era * 146'097LL + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719'468;
    return days * 1'440 + hour * 60 + of_hour;
  }

  // Nanoseconds of a fraction of so many characters with its point.
  static std::int64_t fraction(const Byte* p, std::uint32_t places) {
    if (!places) return 0;
    if (places == 1 || *p != '.') odd();
    Byte digits[9] = {'0', '0', '0', '0', '0', '0', '0', '0', '0'};
    std::memcpy(digits, p + 1, places - 1);
    std::uint64_t wrong = !is_digit(digits[8]);
    const auto eight = static_cast<std::int64_t>(eight_digits(digits, wrong));
    if (wrong) odd();
    return eight * 10 + (digits[8] - '0');
  }

  Byte known_[MINUTE] = {};  // the minute of the date before
  std::int64_t minute_ = 0;
};

}  // namespace tracekit
