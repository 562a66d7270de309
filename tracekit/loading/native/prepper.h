// Writes span documents of OpenSearch, as Data Prepper has them, as flat spans of OTLP JSON, one a line, which otlp.h
// reads: what ../otlp/prepper.py does with parsed documents.  A record with anything unexpected adds nothing.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "json.h"
#include "members.h"
#include "rows.h"

namespace tracekit {

class Prepper {
 public:
  Prepper(const Byte* data, std::size_t size, std::vector<std::int64_t> excluded)
      : data_(data), end_(data + size), excluded_(std::move(excluded)) {
    flat.reserve(size + size / 4);
  }

  std::vector<Byte> flat;  // flat spans, one a line
  std::vector<Line> lines, others;
  std::vector<std::uint8_t> answers;  // of each record that was read: 1 for the answer of a search
  bool is_cut = false;                // whether items were read up to one that the data may end in

  void run() {
    auto excluded = excluded_.begin();
    std::int64_t number = 0;
    are_lines_ = true;
    for (const Byte* p = data_; p < end_; number++) {
      const auto* stop = static_cast<const Byte*>(std::memchr(p, '\n', static_cast<std::size_t>(end_ - p)));
      if (!stop) stop = end_;
      const bool is_excluded = excluded != excluded_.end() && *excluded == number;
      if (is_excluded) ++excluded;
      Reader r(p, stop, true);
      const bool is_read = !is_excluded && record(r, number, [&] {
        content(r);
        r.blank();
        if (r.p < stop) odd();
      });
      if (!is_read && !is_blank(p, stop)) others.push_back({number, p - data_, stop - data_, 0});
      p = stop + 1;
    }
  }

  // Reads the items of a list, or documents one after the other, up to one that is cut off, odd or excluded.
  template <bool IN_LIST> void run_items() {
    const Byte* p = data_;
    for (std::int64_t number = 0;; number++) {
      if (!excluded_.empty() && excluded_.front() == number) return;
      Reader r(p, end_, false);
      if (IN_LIST && number && !r.is(',')) return;
      r.blank();
      if (r.p >= end_ || *r.p != '{') return;
      if (!record(r, number, [&] { item(r); })) {
        is_cut = end_ - r.p < LONGEST_WORD;
        return;
      }
      p = r.p;
    }
  }

 private:
  static constexpr std::ptrdiff_t LONGEST_WORD = 16;  // bytes that the reader takes at once, or not at all
  static constexpr int AROUND = 5;                     // levels of nesting around the members of a document, at most
  static constexpr std::size_t MANY = 128;             // members of a group, compared pair by pair

  template <class Read> bool record(Reader& r, std::int64_t number, Read read) {
    const std::size_t size = flat.size();
    const Byte* const from = r.p;
    spans_ = answer_ = 0;
    r.base = AROUND;
    try {
      read();
      if (r.high && !is_utf8(from, r.p)) odd();
    } catch (const Odd&) {
      flat.resize(size);
      return false;
    }
    lines.push_back({number, from - data_, r.p - data_, spans_});
    answers.push_back(answer_);
    return true;
  }

  void content(Reader& r) {
    if (r.next() == '[') {
      list(r);
    } else if (!first_is_of(r, '_') && is_search(r)) {
      search(r);
    } else {
      item(r);
    }
  }

  void list(Reader& r) {
    const std::int64_t before = spans_;
    each(r, [&] { item(r); });
    if (spans_ == before) odd();
  }

  // The name of the first member, and the reader stays where it is.
  static Text first(Reader& r) {
    const Byte* const from = r.p;
    r.want('{');
    const Text key = r.key();
    r.p = from;
    return key;
  }

  static bool first_is_of(Reader& r, Byte begin) {
    const Text key = first(r);
    return key.length && *key.at == begin && !key.is("_shards") && !key.is("_scroll_id");
  }

  static bool is_search(Reader& r) {
    const Text key = first(r);
    return key.is("took") || key.is("timed_out") || key.is("_shards") || key.is("_scroll_id") || key.is("hits");
  }

  // Reads an object with these members, of which the first one has to be there.
  template <std::size_t N, class Take> static void known(Reader& r, const Member (&names)[N], Take take) {
    Plain<N> number(names);
    object(r, [&](const Text& key) {
      const int found = number(key);
      if (found < 0) odd();
      if (found) r.skip(1);
      else take();
    });
    if (!number.all(1)) odd();
  }

  void search(Reader& r) {
    static const Member outer[] = {member("hits"), member("took"), member("timed_out"), member("_shards"),
                                   member("_scroll_id"), member("status")};
    static const Member inner[] = {member("hits"), member("total"), member("max_score")};
    known(r, outer, [&] { known(r, inner, [&] { list(r); }); });
    answer_ = 1;
  }

  // A document, or one that a hit contains.
  void item(Reader& r) {
    if (r.next() != '{') odd();
    static const Member names[] = {member("_source"), member("_index"), member("_id"), member("_type"), member("_score"),
                                   member("_version"), member("_seq_no"), member("_primary_term"), member("_routing"),
                                   member("_ignored"), member("sort"), member("fields")};
    if (first_is_of(r, '_')) {
      known(r, names, [&] { document(r); });
    } else {
      document(r);
    }
    spans_++;
  }

  // ------------------------------------------------------------------ documents

  // Fields that are written together: of attributes, a resource, a scope or a status.
  struct Fields {
    std::vector<Byte> text;                                 // "name":value, one after the other, each with a comma
    std::vector<std::pair<std::size_t, std::size_t>> names;  // where the names are, and how long

    void clear() {
      text.clear();
      names.clear();
    }
    bool has(const Byte* name, std::size_t length) const {
      for (const auto& [at, size] : names)
        if (size == length && equal(text.data() + at, name, length)) return true;
      return false;
    }
  };

  // The name of a service among the attributes of a resource: the last value at the place of the first.
  struct Service {
    bool is_there = false, is_attribute = false;
    std::size_t at = 0;
    Text value;
  };

  enum { TRACE, SPAN, STATE, PARENT, NAME, KIND, START, END, DURATION, SERVICE, EVENTS, LINKS, DROPPED, DROPPED_EVENTS,
         DROPPED_LINKS, GROUP, GROUP_FIELDS, ATTRIBUTES, RESOURCE, SCOPE, LIBRARY, SCOPE_ITSELF, STATUS, STAMP, TIME };

  void document(Reader& r) {
    static const Member names[] = {
        member("traceId"), member("spanId"), member("traceState"), member("parentSpanId"), member("name"), member("kind"),
        member("startTime"), member("endTime"), member("durationInNanos"), member("serviceName"), member("events"),
        member("links"), member("droppedAttributesCount"), member("droppedEventsCount"), member("droppedLinksCount"),
        member("traceGroup"), member("traceGroupFields"), member("attributes"), member("resource"),
        member("instrumentationScope"), member("instrumentationLibrary"), member("scope"), member("status"),
        member("@timestamp"), member("time")};
    Plain<25> number(names);
    Text start, copies[2];
    for (Fields* one : {&attributes_, &resource_, &dotted_, &nested_, &scope_, &status_}) one->clear();
    dotted_service_ = nested_service_ = Service();
    put("{");
    object(r, [&](const Text& key) {
      if (std::memchr(key.at, '.', key.length)) return dotted(r, key);
      const int found = number(key);
      switch (found) {
        case TRACE:
        case SPAN: if (r.next() != '"') odd(); [[fallthrough]];
        case STATE:
        case PARENT:
        case NAME:
        case KIND:
        case LINKS:
        case DROPPED:
        case DROPPED_EVENTS:
        case DROPPED_LINKS: copied(r, key); break;
        case START:
          start = r.text();
          date("startTimeUnixNano", start);
          break;
        case END: date("endTimeUnixNano", r.text()); break;
        case DURATION: r.skip(1); break;
        case SERVICE:
          if (r.next() != '"') odd();
          if (dotted_service_.is_there) r.skip(1);
          else dotted_service_ = {true, false, dotted_.text.size(), r.raw(1)};
          break;
        case EVENTS: events(r); break;
        case GROUP:
        case GROUP_FIELDS: add(r, attributes_, key, "opensearch.", false); break;
        case ATTRIBUTES: span_attributes(r); break;
        case RESOURCE: resource(r); break;
        case SCOPE:
        case LIBRARY:
        case SCOPE_ITSELF: nested(r, scope_); break;
        case STATUS: nested(r, status_); break;
        case STAMP:
        case TIME: copies[found - STAMP] = r.text(); break;
        default: odd();
      }
    });
    if (!number.all(1u << TRACE | 1u << SPAN | 1u << START | 1u << END)) odd();
    for (const Text& copy : copies)
      if (copy.at && !same(copy, start)) odd();
    finish();
  }

  void finish() {
    whole("\"attributes\":{", attributes_);
    put(",");
    whole("\"scope\":{", scope_);
    put(",");
    whole("\"status\":{", status_);
    put(",\"resource\":{");
    flat.insert(flat.end(), resource_.text.begin(), resource_.text.end());
    for (const auto& [at, size] : nested_.names)
      if (dotted_.has(nested_.text.data() + at, size)) odd();
    put("\"attributes\":{");
    const std::size_t before = flat.size();
    if (nested_service_.is_there && dotted_service_.is_there) {  // the place of one, and the value of the other
      dotted_service_.value = nested_service_.value;
      nested_service_.is_there = false;
    }
    with_service(dotted_, dotted_service_);
    with_service(nested_, nested_service_);
    if (flat.size() > before) flat.pop_back();  // the last comma
    put("}}}\n");
  }

  // Fields with the name of the service among them.
  void with_service(const Fields& fields, const Service& service) {
    const auto begin = fields.text.begin();
    const auto middle = service.is_there ? begin + static_cast<std::ptrdiff_t>(service.at) : begin;
    flat.insert(flat.end(), begin, middle);
    if (service.is_there) {
      put("\"service.name\":");
      append(flat, service.value);
      flat.push_back(',');
    }
    flat.insert(flat.end(), middle, fields.text.end());
  }

  void whole(const char* front, const Fields& members) {
    put(front);
    if (!members.text.empty()) flat.insert(flat.end(), members.text.begin(), members.text.end() - 1);
    put("}");
  }

  // A member whose name has a point: a field of a group, or an attribute of its own.
  void dotted(Reader& r, const Text& key) {
    struct Prefix {
      Member name;
      Fields Prepper::*group;
      bool has_points;
    };
    static const Prefix prefixes[] = {{member("span.attributes."), &Prepper::attributes_, true},
                                      {member("attributes."), &Prepper::attributes_, true},
                                      {member("resource.attributes."), &Prepper::dotted_, true},
                                      {member("resource."), &Prepper::resource_, false},
                                      {member("status."), &Prepper::status_, false},
                                      {member("scope."), &Prepper::scope_, false},
                                      {member("instrumentationScope."), &Prepper::scope_, false},
                                      {member("instrumentationLibrary."), &Prepper::scope_, false}};
    if (key.is("span.attributes")) return span_attributes(r);
    if (key.is("resource.attributes")) return nested(r, dotted_);
    for (const Prefix& one : prefixes) {
      if (key.length < one.name.length || std::memcmp(key.at, one.name.name, one.name.length)) continue;
      const Text rest{key.at + one.name.length, key.length - one.name.length, false};
      if (!rest.length) odd();
      return add(r, this->*one.group, rest, "", one.has_points);
    }
    add(r, attributes_, key, "opensearch.", false);
  }

  void nested(Reader& r, Fields& to) {
    if (r.next() != '{') odd();
    object(r, [&](const Text& key) { add(r, to, key, "", false); });
  }

  // The attributes of a span, all at once.
  void span_attributes(Reader& r) {
    const Text all = r.raw(1);
    if (*all.at != '{') odd();
    const Byte *from = all.at + 1, *const to = all.at + all.length - 1;
    while (from < to && (*from == ' ' || *from == '\n' || *from == '\r' || *from == '\t')) from++;
    if (from == to) return;
    append(attributes_.text, {from, static_cast<std::uint32_t>(to - from), false});
    attributes_.text.push_back(',');
  }

  void resource(Reader& r) {
    if (r.next() != '{') odd();
    object(r, [&](const Text& key) {
      if (key.is("attributes")) nested(r, nested_);
      else add(r, resource_, key, "", false);
    });
  }

  // Adds a member with its value, at which the reader is; ``has_points``: its name has "@" where there were points.
  void add(Reader& r, Fields& to, const Text& name, const char* front, bool has_points) {
    if ((&to == &dotted_ || &to == &nested_) && is_service(name, has_points)) {
      Service& service = &to == &dotted_ ? dotted_service_ : nested_service_;
      if (service.is_attribute) odd();
      const std::size_t at = service.is_there ? service.at : to.text.size();
      service = {true, true, at, r.raw(3)};
      return;
    }
    r.skip(3);
    write(to, name, r.slice(name.at, false), front, has_points);
  }

  static bool is_service(const Text& name, bool has_points) {
    return name.is("service.name") || (has_points && name.is("service@name"));
  }

  // Adds a member as it is written from its name on.
  void write(Fields& to, const Text& name, const Text& written, const char* front, bool has_points) {
    std::vector<Byte>& text = to.text;
    const std::size_t before = std::strlen(front), at = text.size() + 1, length = before + name.length;
    text.push_back('"');
    text.insert(text.end(), front, front + before);
    append(text, written);
    for (std::size_t i = 0; has_points && i < length; i++)
      if (text[at + i] == '@') text[at + i] = '.';
    text.push_back(',');
    if (&to == &attributes_) return;  // their reader does not take two of one name
    if (to.names.size() == MANY || to.has(text.data() + at, length)) odd();
    to.names.emplace_back(at, length);
  }

  void events(Reader& r) {
    put("\"events\":");
    if (r.null()) return put("null,");
    bool any = false;
    put("[");
    each(r, [&] {
      if (r.next() != '{') odd();
      put(any ? ",{" : "{");
      any = true;
      const std::size_t size = flat.size();
      object(r, [&](const Text& key) {
        if (key.is("time")) date("timeUnixNano", r.text());
        else copied(r, key);
      });
      if (flat.size() > size) flat.pop_back();  // the last comma
      put("}");
    });
    put("],");
  }

  // ------------------------------------------------------------------ values

  // A member as it is.
  void copied(Reader& r, const Text& key) {
    r.skip(3);
    append(flat, r.slice(key.at - 1, false));
    flat.push_back(',');
  }

  // A date as nanoseconds.
  void date(const char* name, const Text& text) {
    std::uint64_t left = nanoseconds(text);
    Byte digits[19];
    for (int i = 18; i >= 0; i--, left /= 10) digits[i] = static_cast<Byte>('0' + left % 10);
    flat.push_back('"');
    put(name);
    put("\":\"");
    flat.insert(flat.end(), digits, digits + 19);
    put("\",");
  }

  // Of a date in UTC, from September 2001 on, when they have 19 digits; others are odd.
  static std::uint64_t nanoseconds(const Text& text) {
    constexpr std::uint32_t SECONDS = 19;  // characters
    static constexpr char FORM[] = "dddd-dd-ddTdd:dd:dd";
    if (text.length <= SECONDS || text.length > SECONDS + 11 || text.at[text.length - 1] != 'Z') odd();
    for (std::uint32_t i = 0; i < SECONDS; i++)
      if (FORM[i] == 'd' ? !is_digit(text.at[i]) : text.at[i] != static_cast<Byte>(FORM[i])) odd();
    const auto two = [&](int at) { return (text.at[at] - '0') * 10 + (text.at[at + 1] - '0'); };
    const int year = two(0) * 100 + two(2), month = two(5), day = two(8), hour = two(11), minute = two(14), second = two(17);
    static constexpr int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (year < 2002 || year > 2261 || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59) odd();
    const bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (day > DAYS[month - 1] + (month == 2 && is_leap)) odd();
    // days since 1970, of years that begin in March (Howard Hinnant's chrono-compatible algorithm)
    const int y = year - (month <= 2), era = y / 400, of_era = y - era * 400;
    const int of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    const std::int64_t days = era * 146'097LL + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719'468;
    std::uint64_t fraction = 0;
    const std::uint32_t places = text.length - SECONDS - 1;  // with the point
    if (places) {
      if (places == 1 || text.at[SECONDS] != '.') odd();
      for (std::uint32_t i = 1; i <= 9; i++) {
        const bool is_there = i < places;
        if (is_there && !is_digit(text.at[SECONDS + i])) odd();
        fraction = fraction * 10 + (is_there ? static_cast<std::uint64_t>(text.at[SECONDS + i] - '0') : 0);
      }
    }
    const std::int64_t seconds = days * 86'400 + hour * 3'600 + minute * 60 + second;
    return static_cast<std::uint64_t>(seconds) * 1'000'000'000u + fraction;
  }

  // Without the newlines of indented documents: JSON has none in its strings.
  void append(std::vector<Byte>& to, const Text& text) const {
    const std::size_t size = to.size();
    to.insert(to.end(), text.at, text.at + text.length);
    if (are_lines_) return;
    Byte* const end = to.data() + to.size();
    for (Byte* p = to.data() + size; (p = static_cast<Byte*>(std::memchr(p, '\n', static_cast<std::size_t>(end - p))));) *p = ' ';
  }

  void put(const char* text) { put(flat, text); }
  static void put(std::vector<Byte>& to, const char* text) { to.insert(to.end(), text, text + std::strlen(text)); }

  const Byte* const data_;
  const Byte* const end_;
  const std::vector<std::int64_t> excluded_;
  Fields attributes_, resource_, dotted_, nested_, scope_, status_;  // of the present document
  Service dotted_service_, nested_service_;
  bool are_lines_ = false;
  std::int64_t spans_ = 0;
  std::uint8_t answer_ = 0;
};

}  // namespace tracekit
